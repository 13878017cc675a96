/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request target: path, and after the first '?' the query. Whatever finds a route and
 * fills its request must leave a request that can be packed.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api-gateway/proto_message.h"
#include "api-gateway/route.h"
#include "fixture.h"

static void run(const struct route_table *table, const char *method, const char *target,
		const char *query)
{
	static struct url_path path;
	ProtobufCMessage *request = NULL;
	const struct route *route;
	struct err err;
	char allow[64];

	if (url_path_parse(target, &path, &err))
		return;
	route = route_find(table, method, &path, allow, sizeof(allow), &err);
	if (!route)
		return;
	if (route->filled)
		request = proto_message_new(route->filled->pb);
	if (route_fill(route, &path, query, request, &err) == 0 && request) {
		uint8_t *packed = malloc(protobuf_c_message_get_packed_size(request) + 1);

		if (packed)
			protobuf_c_message_pack(request, packed);
		free(packed);
	}
	proto_message_free(request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct route_table table;
	static struct field_table *fields; /* until the program ends */
	char *target = strndup((const char *)data, size);
	struct err err;
	char *query;

	if (!fields)
		fields = fixture_fields();
	if (!table.routes && route_table_init(&table, fields, &err))
		abort();
	if (!target)
		return 0;
	query = strchr(target, '?');
	if (query)
		*query++ = '\0';
	run(&table, "GET", target, query);
	run(&table, "POST", target, query);
	free(target);
	return 0;
}
