/* SPDX-License-Identifier: Apache-2.0 */
/* The service of echo.proto, and a server that serves it on a socket in a folder of its own. */

#ifndef TESTS_ECHO_SERVICE_H
#define TESTS_ECHO_SERVICE_H

#include <stdatomic.h>

#include "common/rpc/rpc.h"
#include "echo.pb-c.h"

#define ECHO (&hypeman__test__v1__echo_service__descriptor)

/* Indexes of the methods, in the order of the .proto file. */
enum echo_method {
	ECHO_ECHO,
	ECHO_COUNT,
	ECHO_CHAT,
	ECHO_COLLECT,
	ECHO_HOLD,
	ECHO_RELAY,
	ECHO_FORBIDDEN,
	ECHO_MISSING,
	ECHO_SILENT,
};

#define ECHO_ROLE	 1u
#define ECHO_ROLE_UNUSED 2u

struct echo {
	struct rpc_channel *self; /* for Relay; may be NULL */
	atomic_int cancelled;	  /* handlers that saw their call cancelled */
	atomic_int running;	  /* handlers */
};

/* Descriptors, EchoService and the standard services. */
int echo_add(struct rpc_server *server, struct echo *echo, struct err *err);

#endif
