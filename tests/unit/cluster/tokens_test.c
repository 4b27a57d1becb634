// Who asks, where that must be proved; and the tokens that prove it.
#include "machine_world.h"
#include "model/yson.h"

TestSuite(tokens, .fini = abort_on_leaks);

#define ROOT_HASH  "0000000000000000000000000000000000000000000000000000000000000001"
#define ALICE_HASH "000000000000000000000000000000000000000000000000000000000000000a"

static struct machine_world world;

static void start(void)
{
    world_init(&world, 1);
    world_do(&world, META, "create", "{type=user;attributes={name=alice}}", NULL);
    world_do(&world, META, "create", "{type=user;attributes={name=bob}}", NULL);
}

// Asks with what a face has found in headers.
static const char *ask_as(
    const char *token_hash,
    const char *user,
    bool is_peer,
    const char *command,
    const char *parameters)
{
    struct request *request = request_new(REQUEST_COMMAND);
    struct arena *arena = &request->arena;
    request->command = slice_from_text(command);
    assert_ok(yson_parse(arena, slice_from_text(parameters), &request->parameters));
    request->user = slice_from_text(user);
    request->token_hash = slice_from_text(token_hash);
    request->is_peer = is_peer;
    request->new_token = SLICE_OF("a-new-token");
    request->new_token_hash = SLICE_OF(ALICE_HASH);
    machine_request(world.nodes[META].machine, request);
    world_run(&world, 10 * MS);
    return world_finish(&world, request);
}

static void require(bool is_required)
{
    struct cell_options *options = &world.nodes[META].machine->cell.options;
    options->requires_authentication = is_required;
    options->root_token_hash = SLICE_OF(ROOT_HASH);
}

static const char *who(const char *token_hash, const char *user, bool is_peer)
{
    return ask_as(token_hash, user, is_peer, "get_current_user", "{}");
}

Test(tokens, prove_who_asks)
{
    start();
    // Where nothing is required nothing is looked at.
    assert_text(who("nonsense", "", false), "{\"user\"=\"root\";}");
    require(true);
    cr_assert(eq(ptr, (void *)who("", "", false), NULL));
    cr_assert(error_says(world.error, 900, "Client is missing credentials"));
    cr_assert(eq(ptr, (void *)who("", "root", false), NULL));
    cr_assert(error_says(world.error, 900, "Client is missing credentials"));
    cr_assert(eq(ptr, (void *)who(ALICE_HASH, "", false), NULL));
    cr_assert(error_says(world.error, 111, "Invalid token"));
    assert_text(who(ROOT_HASH, "", false), "{\"user\"=\"root\";}");
    assert_text(ask_as(ROOT_HASH, "", false, "issue_token", "{user=alice}"), "\"a-new-token\"");
    assert_text(who(ALICE_HASH, "", false), "{\"user\"=\"alice\";}");
    assert_text(who(ALICE_HASH, "alice", false), "{\"user\"=\"alice\";}");
    // Acting as others.
    assert_text(who(ROOT_HASH, "bob", false), "{\"user\"=\"bob\";}");
    assert_text(who("", "bob", true), "{\"user\"=\"bob\";}");
    assert_text(who("", "", true), "{\"user\"=\"root\";}");
    static const char *const OTHERS[] = {"bob", "root", "nobody"};
    for (size_t i = 0; i < 3; i++) {
        cr_assert(eq(ptr, (void *)who(ALICE_HASH, OTHERS[i], false), NULL));
        cr_assert(error_says(world.error, 900, "\"alice\" cannot act as"));
    }
    cr_assert(eq(ptr, (void *)who(ROOT_HASH, "nobody", false), NULL));
    cr_assert(error_says(world.error, 900, "No such user \"nobody\""));
    require(false);
    world_do(&world, META, "add_member", "{member=alice;group=superusers}", NULL);
    require(true);
    assert_text(who(ALICE_HASH, "bob", false), "{\"user\"=\"bob\";}");
    world_release(&world);
}

Test(tokens, are_known_by_their_hashes_and_revoked)
{
    start();
    require(true);
    ask_as(ROOT_HASH, "", false, "issue_token", "{user=alice}");
    assert_text(
        ask_as(ROOT_HASH, "", false, "list_user_tokens", "{user=alice}"), "[\"" ALICE_HASH "\";]");
    world_restart(&world, META);
    require(true);
    assert_text(who(ALICE_HASH, "", false), "{\"user\"=\"alice\";}");
    // Each for himself.
    assert_text(
        ask_as(ALICE_HASH, "", false, "list_user_tokens", "{user=alice}"), "[\"" ALICE_HASH "\";]");
    static const char *const COMMANDS[] = {"list_user_tokens", "issue_token", "revoke_token"};
    for (size_t i = 0; i < 3; i++) {
        static const char *const PARAMETERS = "{user=bob;token_sha256=\"" ALICE_HASH "\"}";
        cr_assert(eq(ptr, (void *)ask_as(ALICE_HASH, "", false, COMMANDS[i], PARAMETERS), NULL));
        cr_assert(error_says(world.error, 901, "\"administer\" permission for user \"bob\""));
        cr_assert(eq(ptr, (void *)ask_as(ALICE_HASH, "", false, COMMANDS[i], "{user=x}"), NULL));
        cr_assert(error_says(world.error, 901, "\"administer\" permission"));
        cr_assert(eq(ptr, (void *)ask_as(ROOT_HASH, "", false, COMMANDS[i], "{user=x}"), NULL));
        cr_assert(error_says(world.error, 907, "No such user \"x\""));
        cr_assert(eq(ptr, (void *)ask_as(ROOT_HASH, "", false, COMMANDS[i], "{}"), NULL));
        cr_assert(error_says(world.error, 1, "\"user\" is missing"));
    }
    static const char *const OTHERS = "{user=bob;token_sha256=\"" ALICE_HASH "\"}";
    cr_assert(eq(ptr, (void *)ask_as(ROOT_HASH, "", false, "revoke_token", OTHERS), NULL));
    cr_assert(error_says(world.error, 500, "\"bob\" has no token"));
    cr_assert(eq(ptr, (void *)ask_as(ROOT_HASH, "", false, "revoke_token", "{user=bob}"), NULL));
    cr_assert(error_says(world.error, 1, "\"token_sha256\""));
    // Nobody but superusers sees them.
    static const char *const LIST = "{path=\"//sys/cypress_tokens\"}";
    cr_assert(eq(ptr, (void *)ask_as(ALICE_HASH, "", false, "list", LIST), NULL));
    cr_assert(error_says(world.error, 901, "//sys/cypress_tokens"));
    ask_as(ALICE_HASH, "", false, "revoke_token", "{user=alice;token_sha256=\"" ALICE_HASH "\"}");
    cr_assert(eq(ptr, (void *)who(ALICE_HASH, "", false), NULL));
    cr_assert(error_says(world.error, 111, "Invalid token"));
    world_release(&world);
}

Test(tokens, go_with_their_user)
{
    start();
    require(true);
    ask_as(ROOT_HASH, "", false, "issue_token", "{user=alice}");
    ask_as(ROOT_HASH, "", false, "remove", "{path=\"//sys/users/alice\"}");
    cr_assert(eq(ptr, (void *)who(ALICE_HASH, "", false), NULL));
    ask_as(ROOT_HASH, "", false, "create", "{type=user;attributes={name=alice}}");
    cr_assert(eq(ptr, (void *)who(ALICE_HASH, "", false), NULL));
    cr_assert(error_says(world.error, 111, "Invalid token"));
    world_release(&world);
}

// The answer to a mutation is kept in the store, in clear: not this one.
Test(tokens, are_not_kept_as_answers)
{
    start();
    require(true);
    static const char *const PARAMETERS = "{user=alice;mutation_id=\"1-2-3-4\"}";
    assert_text(ask_as(ROOT_HASH, "", false, "issue_token", PARAMETERS), "\"a-new-token\"");
    struct store_iterator *iterator = store_iterator_new(
        world.nodes[META].store, NULL, STORE_META, SLICE_OF(""), SLICE_OF("\xff\xff"));
    size_t count = 0;
    for (store_iterator_seek(iterator, SLICE_OF("")); store_iterator_is_valid(iterator);
         store_iterator_next(iterator)) {
        struct slice value = store_iterator_value(iterator);
        cr_assert(eq(ptr, memmem(value.data, value.size, "a-new-token", 11), NULL));
        count++;
    }
    cr_assert(gt(sz, count, 10));
    store_iterator_free(iterator);
    // Parts of a batch get none.
    const char *results = ask_as(
        ROOT_HASH,
        "",
        false,
        "execute_batch",
        "{requests=[{command=issue_token;parameters={user=alice}};"
        "{command=get_current_user}]}");
    cr_assert(ne(ptr, strstr(results, "not issued by commands of a batch"), NULL));
    cr_assert(ne(ptr, strstr(results, "\"user\"=\"root\""), NULL));
    world_release(&world);
}
