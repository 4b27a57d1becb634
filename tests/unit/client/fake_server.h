// A cluster that only pretends: a process that answers by simple rules, for tests of clients.
//
// Commits to //refuse are refused with error 1700, to //silent never answered; to //die ends the
// process, and to //restart too, but another one takes its place after a moment. Other commits get
// as their timestamp the count of modifications, and lookups their keys as rows. The transaction
// started is 1-2-3-4.
//
// A command's output is its echo, "command parameters input\n", the parameters as text YSON, in two
// pieces. But
//
//     create, exists, generate_timestamp,
//     start_transaction                             give {"id"="echo"}
//     list                                          gives ["b";"a";]
//     get with a path that begins with `=`          gives the rest of it as pretty YSON
//     get with a path .../@tablet_state             gives "transient", then "mounted"
//     any command with path //echo                  fails with the echo as its error's message
//     any command with path //refuse                fails with code 500 in an error with code 1
//     refuse                                        fails with code 500
//     silent, die                                   are as above
#pragma once

#include <sys/types.h>

// Starts it in a child process, before the caller has started gRPC. Returns its id and its address
// (static).
pid_t fake_server_start(const char **ret_address);

// Kills it.
void fake_server_stop(pid_t pid);
