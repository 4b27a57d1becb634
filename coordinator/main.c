// The meta-cluster's daemon: replicated tables with their queues and replicators, and ordinary
// tables beside them.
#include "cluster/daemon.h"

int main(int argc, char **argv)
{
    return daemon_main(
        argc,
        argv,
        &(struct daemon_options){
            .program = "retable-coordinator",
            .is_meta = true,
        });
}
