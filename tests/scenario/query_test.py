"""Queries as users type them: placeholders, totals, plans and statistics, on a cluster and through a replicated table."""

import json
import os
import subprocess

import retable
from retable import until

SCHEMA = "[{name=day;type=int64;sort_order=ascending};{name=id;type=string;sort_order=ascending};{name=price;type=double};{name=tags;type=any}]"
QUERY = "day, sum(price) as total, argmax(id, price) as best from [%s] where day between {from} and {to} group by day with totals"


def rows():
    return [{"day": day, "id": "i%d" % i, "price": day + i / 4, "tags": {"n": i}} for day in range(5) for i in range(4)]


def select_with_statistics(node, query, *args):
    """The rows, and the statistics, which go to standard error."""
    done = subprocess.run(
        [os.environ["RETABLE"], "select-rows", query, "--format", "json", "--print-statistics", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(os.environ, YT_PROXY=node.address),
        timeout=retable.TIMEOUT_S,
        text=True,
        check=True,
    )
    return retable.rows_of(done.stdout), done.stderr


def check_queries(node, table):
    placeholders = ["--placeholder-values", "{from=1;to=2}"]
    found, statistics = select_with_statistics(node, QUERY % table, *placeholders)
    assert found == [
        {"day": 1, "total": 5.5, "best": "i3"},
        {"day": 2, "total": 9.5, "best": "i3"},
        {"day": None, "total": 15.0, "best": "i3"},
    ], found
    assert '"rows_read" = 8u;' in statistics and '"rows_written" = 3u;' in statistics, statistics

    _, statistics = select_with_statistics(node, "* from [%s] where (day, id) = (3, 'i2')" % table)
    assert '"rows_read" = 1u;' in statistics, statistics

    plan = json.loads(node.run("explain-query", QUERY % table, *placeholders, "--format", "json"))
    assert plan["query"]["table"] == table
    assert plan["query"]["range_count"] == 1
    assert plan["query"]["ranges"][0][0] == [1], plan

    tags = node.select("get_int64(tags, '/n') as n from [%s] where day = 0 order by n desc limit 2" % table)
    assert tags == [{"n": 3}, {"n": 2}], tags
    assert "forbidden" in node.refused("select-rows", "* from [%s]" % table, "--forbid-full-scan")
    assert "no value" in node.refused("select-rows", "* from [%s] where day = {x}" % table)
    found = node.select("cast(day as string) as d, id from [%s] where id regexp '^i[23]$' and day = 1 order by id limit 2" % table)
    assert found == [{"d": "1", "id": "i2"}, {"d": "1", "id": "i3"}], found
    # A pattern that would go on for ages comes to an end, and says why.
    endless = "regex_full_match('(a+)+b', '%s') as x from [%s] limit 1" % ("a" * 50 + "cb", table)
    assert "too many ways to match" in node.refused("select-rows", endless)
    items = node.select("int64(x) as x from [%s] array join make_list(7, 8) as x where day = 0 and id = 'i1'" % table)
    assert items == [{"x": 7}, {"x": 8}], items
    assert len(node.select("* from [%s]" % table, "--output-row-limit", "3", "--allow-incomplete-result")) == 3


def test(world):
    node = world.node("first")
    primary = world.coordinator("primary", "--peer", "first=" + node.address)
    node.create("table", "//tmp/t", attributes="{dynamic=%%true;schema=%s}" % SCHEMA)
    node.mount("//tmp/t")
    node.insert("//tmp/t", rows())
    check_queries(node, "//tmp/t")

    # The coordinator sends the query on, with all its options, and the statistics come back.
    primary.create("replicated_table", "//tmp/r", attributes="{dynamic=%%true;schema=%s}" % SCHEMA)
    replica_id = primary.create(
        "table_replica",
        attributes='{table_path="//tmp/r";cluster_name=first;replica_path="//tmp/copy";mode=sync;enabled=%true}',
    )
    node.create("table", "//tmp/copy", attributes='{dynamic=%%true;schema=%s;upstream_replica_id="%s"}' % (SCHEMA, replica_id))
    node.mount("//tmp/copy")
    primary.mount("//tmp/r")
    until(lambda: primary.insert("//tmp/r", rows()) is None, "the replica is in sync")
    check_queries(primary, "//tmp/r")


if __name__ == "__main__":
    with retable.World() as world:
        test(world)
