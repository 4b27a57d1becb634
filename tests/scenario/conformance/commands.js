// The official JavaScript wrapper: commands.js META_ADDRESS REPLICA_ADDRESS REPLICA_CLUSTER.
"use strict";

const assert = require("assert");
const wrapper = require("@ytsaurus/javascript-wrapper");

const yt = wrapper();
const version = "v4";
const [metaAddress, replicaAddress, cluster] = process.argv.slice(2);
const SCHEMA = [
    {name: "k", type: "int64", sort_order: "ascending"},
    {name: "v", type: "string"},
];

function at(proxy) {
    return {proxy, secure: false};
}

function parsed(result) {
    return typeof result === "string" ? JSON.parse(result) : result;
}

async function refused(code, promise) {
    let result;
    try {
        result = await promise;
    } catch (error) {
        assert.strictEqual(error.code, code, JSON.stringify(error));
        return;
    }
    assert.fail("it was not refused: " + JSON.stringify(result));
}

async function until(condition, what) {
    const end = Date.now() + 30000;
    for (;;) {
        if (await condition()) {
            return;
        }
        assert(Date.now() < end, "waited for " + what);
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
}

async function call(name, proxy, parameters, data) {
    return yt[version][name]({setup: at(proxy), parameters, data});
}

async function isMounted(proxy, path) {
    return parsed(await call("get", proxy, {path: path + "/@tablet_state"})).value === "mounted";
}

function rowsOf(text) {
    const rows = typeof text === "string" ? text.split("\n").filter((line) => line).map((line) => JSON.parse(line)) : [text];
    return rows.map((row) => ({k: Number(row.k.$value || row.k), v: row.v.$value || row.v}));
}

async function main() {
    await call("create", metaAddress, {path: "//tmp/js", type: "map_node", attributes: {note: "text"}});
    assert.strictEqual(parsed(await call("exists", metaAddress, {path: "//tmp/js"})).value, true);
    await refused(501, call("create", metaAddress, {path: "//tmp/js", type: "map_node"}));
    await refused(500, call("get", metaAddress, {path: "//tmp/js/none"}));
    await call("set", metaAddress, {path: "//tmp/js/value"}, {a: [1, "b"]});
    assert.deepStrictEqual(parsed(await call("get", metaAddress, {path: "//tmp/js/value"})).value, {a: [1, "b"]});
    assert.deepStrictEqual(parsed(await call("list", metaAddress, {path: "//tmp/js"})).value, ["value"]);
    await call("remove", metaAddress, {path: "//tmp/js/value", recursive: true});

    await call("create", metaAddress, {path: "//tmp/js/t", type: "table", attributes: {dynamic: true, schema: SCHEMA}});
    await call("mountTable", metaAddress, {path: "//tmp/js/t"});
    await until(() => isMounted(metaAddress, "//tmp/js/t"), "a mounted table");
    await call("insertRows", metaAddress, {path: "//tmp/js/t"}, [{k: 1, v: "a"}, {k: {$type: "int64", $value: "2"}, v: "b"}]);
    const selected = await call("selectRows", metaAddress, {query: "* from [//tmp/js/t]"});
    assert.deepStrictEqual(rowsOf(selected), [
        {k: 1, v: "a"},
        {k: 2, v: "b"},
    ]);

    await call("create", metaAddress, {path: "//tmp/js/r", type: "replicated_table", attributes: {dynamic: true, schema: SCHEMA}});
    const made = parsed(
        await call("create", metaAddress, {
            type: "table_replica",
            attributes: {table_path: "//tmp/js/r", cluster_name: cluster, replica_path: "//tmp/js_replica", mode: "async"},
        })
    );
    const replicaId = made.object_id || made;
    const bound = {dynamic: true, schema: SCHEMA, upstream_replica_id: replicaId};
    await call("create", replicaAddress, {path: "//tmp/js_replica", type: "table", attributes: bound});
    await call("mountTable", replicaAddress, {path: "//tmp/js_replica"});
    await call("mountTable", metaAddress, {path: "//tmp/js/r"});
    await until(() => isMounted(metaAddress, "//tmp/js/r"), "a mounted replicated table");
    await call("alterTableReplica", metaAddress, {replica_id: replicaId, enabled: true});
    await call("insertRows", metaAddress, {path: "//tmp/js/r", require_sync_replica: false}, [{k: 1, v: "a"}]);
    await until(async () => rowsOf(await call("selectRows", replicaAddress, {query: "* from [//tmp/js_replica]"})).length === 1, "a row");

    const batch = parsed(
        await call("executeBatch", metaAddress, {
            requests: [
                {command: "exists", parameters: {path: "//tmp/js"}},
                {command: "get", parameters: {path: "//tmp/js/none"}},
            ],
        })
    );
    assert.strictEqual((batch.results || batch)[1].error.code, 500);

    const transaction = parsed(await call("startTransaction", metaAddress, {type: "tablet", timeout: 60000}));
    const id = transaction.transaction_id || transaction;
    await call("pingTransaction", metaAddress, {transaction_id: id});
    await call("abortTransaction", metaAddress, {transaction_id: id});
    await refused(11000, call("commitTransaction", metaAddress, {transaction_id: id}));
    console.log("all is well");
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
