// Commands over HTTP: a request's head and body become the machine's request, its answer becomes a
// response, at once or streamed. docs/http.md explains.
#pragma once

#include "cluster/http_exchange.h"

// By the name that API v3 or v4 has for it; NULL if there is none.
const struct command *http_command_find(struct slice name);

// The name that an API version has for it.
const char *http_command_name(const struct command *command, int api_version);

// The head has come: makes the request, and says what becomes of the body. What is wrong becomes
// the exchange's error.
void http_command_begin(struct exchange *exchange, int api_version);

// The body has come: submits the exchange, or responds with its error.
void http_command_end(struct exchange *exchange);

// The machine has answered: responds.
void http_command_answer(struct exchange *exchange);
