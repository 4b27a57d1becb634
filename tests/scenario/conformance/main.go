// The official Go SDK over HTTP, with its defaults: conformance META_ADDRESS REPLICA_ADDRESS REPLICA_CLUSTER.
package main

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"time"

	"go.ytsaurus.tech/yt/go/schema"
	"go.ytsaurus.tech/yt/go/ypath"
	"go.ytsaurus.tech/yt/go/yt"
	"go.ytsaurus.tech/yt/go/yt/ythttp"
	"go.ytsaurus.tech/yt/go/yterrors"
)

type row struct {
	K int64  `yson:"k,key"`
	V string `yson:"v"`
	N uint64 `yson:"n"`
}

type key struct {
	K int64 `yson:"k"`
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func equal(actual, expected interface{}) {
	if !reflect.DeepEqual(actual, expected) {
		panic(fmt.Sprintf("expected %#v, got %#v", expected, actual))
	}
}

func refused(err error, code int) {
	if err == nil || !yterrors.ContainsErrorCode(err, yterrors.ErrorCode(code)) {
		panic(fmt.Sprintf("expected code %d, got %v", code, err))
	}
}

func newClient(address string, codec yt.ClientCompressionCodec) yt.Client {
	client, err := ythttp.NewClient(&yt.Config{Proxy: address, CompressionCodec: codec})
	check(err)
	return client
}

func read(r yt.TableReader, err error) (rows []row) {
	check(err)
	defer r.Close()
	for r.Next() {
		var next row
		check(r.Scan(&next))
		rows = append(rows, next)
	}
	check(r.Err())
	return
}

func waitForState(ctx context.Context, client yt.Client, path ypath.Path, state string) {
	end := time.Now().Add(30 * time.Second)
	for {
		var now string
		check(client.GetNode(ctx, path+"/@tablet_state", &now, nil))
		if now == state {
			return
		}
		if time.Now().After(end) {
			panic(fmt.Sprintf("%s is %s, not %s", path, now, state))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func testTree(ctx context.Context, client yt.Client) {
	path := ypath.Path("//tmp/go")
	id, err := client.CreateNode(ctx, path, yt.NodeMap, &yt.CreateNodeOptions{Attributes: map[string]interface{}{"note": "имя"}})
	check(err)
	var shown yt.NodeID
	check(client.GetNode(ctx, path.Attr("id"), &shown, nil))
	equal(shown, id)
	var note string
	check(client.GetNode(ctx, path.Attr("note"), &note, nil))
	equal(note, "имя")
	_, err = client.CreateNode(ctx, path, yt.NodeMap, nil)
	refused(err, 501)
	check(client.SetNode(ctx, path.Child("value"), map[string]interface{}{"a": []int{1, 2}}, nil))
	var value struct {
		A []int `yson:"a"`
	}
	check(client.GetNode(ctx, path.Child("value"), &value, nil))
	equal(value.A, []int{1, 2})
	var names []string
	check(client.ListNode(ctx, path, &names, nil))
	equal(names, []string{"value"})
	check(client.RemoveNode(ctx, path.Child("value"), &yt.RemoveNodeOptions{Recursive: true}))
	ok, err := client.NodeExists(ctx, path.Child("value"), nil)
	check(err)
	equal(ok, false)
	refused(client.GetNode(ctx, path.Child("none"), &note, nil), 500)
	user, err := client.WhoAmI(ctx, nil)
	check(err)
	equal(user.Login, "root")
	timestamp, err := client.GenerateTimestamp(ctx, nil)
	check(err)
	if timestamp == 0 {
		panic("timestamp 0")
	}
}

func testRows(ctx context.Context, client yt.Client, path ypath.Path) {
	tableSchema := schema.MustInfer(&row{})
	tableSchema.UniqueKeys = true
	_, err := client.CreateNode(ctx, path, yt.NodeTable, &yt.CreateNodeOptions{Attributes: map[string]interface{}{"dynamic": true, "schema": tableSchema}})
	check(err)
	check(client.MountTable(ctx, path, nil))
	waitForState(ctx, client, path, "mounted")
	var rows, keys []interface{}
	for i := 0; i < 2000; i++ {
		rows = append(rows, row{K: int64(i), V: fmt.Sprintf("value %d", i), N: 1<<63 + uint64(i)})
	}
	check(client.InsertRows(ctx, path, rows, nil))
	keys = []interface{}{key{5}, key{5000}}
	equal(read(client.LookupRows(ctx, path, keys, nil)), []row{rows[5].(row)})
	equal(len(read(client.SelectRows(ctx, "* from ["+path.String()+"]", nil))), 2000)
	equal(read(client.SelectRows(ctx, "* from ["+path.String()+"] where k = 7", nil)), []row{rows[7].(row)})
	equal(len(read(client.SelectRows(ctx, "* from ["+path.String()+"] where k < 0", nil))), 0)
	check(client.DeleteRows(ctx, path, []interface{}{key{5}}, nil))
	equal(len(read(client.LookupRows(ctx, path, keys, nil))), 0)
	_, err = client.SelectRows(ctx, "* from [//tmp/none]", nil)
	refused(err, 500)
	refused(client.InsertRows(ctx, path, []interface{}{map[string]interface{}{"k": "text"}}, nil), 307)

	tx, err := client.BeginTabletTx(ctx, nil)
	check(err)
	check(tx.InsertRows(ctx, path, []interface{}{row{K: 9000, V: "a"}}, nil))
	check(tx.InsertRows(ctx, path, []interface{}{row{K: 9001, V: "b"}}, nil))
	check(tx.Commit())
	equal(len(read(client.LookupRows(ctx, path, []interface{}{key{9000}, key{9001}}, nil))), 2)
	tx, err = client.BeginTabletTx(ctx, nil)
	check(err)
	check(tx.InsertRows(ctx, path, []interface{}{row{K: 9002}}, nil))
	check(tx.Abort())
	equal(len(read(client.LookupRows(ctx, path, []interface{}{key{9002}}, nil))), 0)

	check(client.FreezeTable(ctx, path, nil))
	waitForState(ctx, client, path, "frozen")
	refused(client.InsertRows(ctx, path, rows[:1], nil), 1702)
	check(client.UnfreezeTable(ctx, path, nil))
	waitForState(ctx, client, path, "mounted")
	check(client.UnmountTable(ctx, path, nil))
	waitForState(ctx, client, path, "unmounted")
}

func testReplication(ctx context.Context, meta, replica yt.Client, cluster string) {
	path := ypath.Path("//tmp/go_replicated")
	tableSchema := schema.MustInfer(&row{})
	tableSchema.UniqueKeys = true
	_, err := meta.CreateNode(ctx, path, yt.NodeReplicatedTable, &yt.CreateNodeOptions{Attributes: map[string]interface{}{"dynamic": true, "schema": tableSchema}})
	check(err)
	replicaID, err := meta.CreateObject(ctx, yt.NodeTableReplica, &yt.CreateObjectOptions{Attributes: map[string]interface{}{
		"table_path": path, "cluster_name": cluster, "replica_path": "//tmp/go_replica", "mode": "sync"}})
	check(err)
	_, err = replica.CreateNode(ctx, ypath.Path("//tmp/go_replica"), yt.NodeTable, &yt.CreateNodeOptions{Attributes: map[string]interface{}{
		"dynamic": true, "schema": tableSchema, "upstream_replica_id": replicaID}})
	check(err)
	check(replica.MountTable(ctx, ypath.Path("//tmp/go_replica"), nil))
	check(meta.MountTable(ctx, path, nil))
	waitForState(ctx, meta, path, "mounted")
	waitForState(ctx, replica, ypath.Path("//tmp/go_replica"), "mounted")
	rows := []interface{}{row{K: 1, V: "a", N: 1}}
	refused(meta.InsertRows(ctx, path, rows, nil), 1732) // Its replica is not enabled yet.
	enabled := true
	check(meta.AlterTableReplica(ctx, yt.NodeID(replicaID), &yt.AlterTableReplicaOptions{Enabled: &enabled}))
	end := time.Now().Add(30 * time.Second)
	for err = meta.InsertRows(ctx, path, rows, nil); err != nil; err = meta.InsertRows(ctx, path, rows, nil) {
		if time.Now().After(end) {
			panic(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	equal(len(read(meta.SelectRows(ctx, "* from ["+path.String()+"]", nil))), 1)
	equal(len(read(replica.SelectRows(ctx, "* from [//tmp/go_replica]", nil))), 1)
	timestamp, err := meta.GenerateTimestamp(ctx, nil)
	check(err)
	inSync, err := meta.GetInSyncReplicas(ctx, path, timestamp, []interface{}{key{1}}, nil)
	check(err)
	equal(inSync, []yt.NodeID{yt.NodeID(replicaID)})
}

func main() {
	ctx := context.Background()
	meta := newClient(os.Args[1], yt.ClientCodecDefault)
	replica := newClient(os.Args[2], yt.ClientCodecDefault)
	testTree(ctx, meta)
	codecs := []yt.ClientCompressionCodec{yt.ClientCodecDefault, yt.ClientCodecNone, yt.ClientCodecGZIP, yt.ClientCodecSnappy,
		yt.ClientCodecZSTDFastest, yt.ClientCodecZSTDBetterCompression}
	for i, codec := range codecs {
		testRows(ctx, newClient(os.Args[1], codec), ypath.Path(fmt.Sprintf("//tmp/go_rows_%d", i)))
	}
	testReplication(ctx, meta, replica, os.Args[3])
	fmt.Println("all is well")
}
