// Whom a request comes from, as the headers of HTTP and gRPC say it.
#pragma once

#include "cluster/core/request.h"

// Names a user to act as. Only superusers may.
#define USER_HEADER      "X-YT-User-Name"
#define USER_HEADER_GRPC "x-yt-user-name"

// Puts into a request what its headers say; the values are copied, and empty where there is none.
void identity_read(struct request *request, struct slice user);
