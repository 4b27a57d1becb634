#include "cluster/identity.h"

void identity_read(struct request *request, struct slice user)
{
    request->user = arena_copy(&request->arena, user);
}
