// Makes typed expressions: nodes, constants that are folded, and types that are brought together.
//
// What the parts of the typer share; nobody else includes it. Expressions made here are still being
// built: their types may change until the typer hands them out.
#pragma once

#include "cluster/query/functions.h"
#include "cluster/query/typing.h"

// Adds the place of a syntax to an error, which is taken over and returned.
struct error *typed_at(const struct syntax *syntax, struct error *error);

// "Type mismatch in expression …": two types that do not go together, or an operand that is not
// what is expected.
MUST_USE struct error *typed_fail_mismatch(
    const struct typer *typer, const struct syntax *syntax, const char *left, const char *right);
MUST_USE struct error *typed_fail_operand(
    const struct typer *typer,
    const struct syntax *syntax,
    const struct expression *operand,
    const char *expected);

// A node with room for `count` items, each to be set by typed_set_item, which keeps the depth.
struct expression *typed_new(
    struct typer *typer, enum expression_kind kind, enum value_type type, uint32_t count);
void typed_set_item(struct expression *expression, uint32_t i, struct expression *item);
struct expression *typed_literal(struct typer *typer, enum value_type type, struct value literal);
struct expression *typed_unary(
    struct typer *typer, enum expression_kind kind, enum value_type type, struct expression *item);
struct expression *typed_binary(
    struct typer *typer,
    enum expression_kind kind,
    enum value_type type,
    struct expression *left,
    struct expression *right);

// A call of a function, folded if that is quick.
struct expression *typed_call(
    struct typer *typer,
    const struct function *function,
    struct expression *const *arguments,
    uint32_t count);

// The negation of a boolean; whether an item is null.
struct expression *typed_not(struct typer *typer, struct expression *item);
struct expression *typed_is_null(struct typer *typer, struct expression *item, bool is_negated);

// AND or OR of items, which are owned by the caller. Literals that do not matter are left out.
struct expression *typed_logical(
    struct typer *typer, enum expression_kind kind, struct expression **items, uint32_t count);

bool typed_is_literal(const struct expression *expression);
bool typed_is_true(const struct expression *expression);
bool typed_is_false(const struct expression *expression);
bool typed_is_integer(const struct expression *expression);
bool typed_is_number(const struct expression *expression);

// Computes an expression whose items are all literals. If that fails, it is left for the time when
// a row needs it, which may be never: if(false, 1 / 0, 2).
struct expression *typed_fold(struct typer *typer, struct expression *expression);

// Converts an integer literal; false if the type cannot hold it.
bool typed_convert_literal(struct value *literal, enum value_type type);

// Marks a choice of integers as flexible if all it can choose are: if(x, 1, 2) + 3u.
void typed_mark_choice(struct expression *choice);

// Brings two expressions to one type, or fails.
MUST_USE struct error *typed_unify(
    const struct typer *typer,
    const struct syntax *syntax,
    struct expression *left,
    struct expression *right);

// The same for several.
MUST_USE struct error *typed_unify_all(
    const struct typer *typer,
    const struct syntax *syntax,
    struct expression **items,
    uint32_t count);

// Brings an argument to one of a set of types (functions.h); false if that cannot be.
bool typed_fit(struct expression *argument, unsigned types);

// "int64 or uint64" for a set of types.
const char *typed_print_types(struct arena *arena, unsigned types);
