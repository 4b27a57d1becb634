// What HTTP serves besides commands: what there is, who one is, health, metrics, the status page.
#pragma once

#include "cluster/http_exchange.h"

// What is served at a path; NULL if nothing is.
const struct route *http_page_find(struct slice path);

// Responds with the page that the loop has made.
void http_page_respond(struct exchange *exchange);
