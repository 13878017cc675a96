/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The web page at "/" (web/), which is part of the program. It has no data of its own: it asks
 * the API for all that it shows, with the token that its user types in, so that anyone may
 * have it.
 */

#ifndef API_GATEWAY_PAGE_H
#define API_GATEWAY_PAGE_H

#include "response.h"
#include "route.h"

/* Fills the answer with the file of this ROUTE_PAGE. */
void page_answer(const struct route *route, struct response *response);

#endif
