// A replica cluster's daemon: ordinary tables, which may be replicas of others.
#include "cluster/daemon.h"

int main(int argc, char **argv)
{
    return daemon_main(
        argc,
        argv,
        &(struct daemon_options){
            .program = "retable-node",
            .is_meta = false,
        });
}
