/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What json_check() accepts, cJSON must read, and read the same when it has written it
 * again. And whatever reads into the message with a field of every kind must be written
 * as JSON that reads as the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "api-gateway/json_check.h"
#include "api-gateway/json_read.h"
#include "api-gateway/json_write.h"
#include "api-gateway/proto_message.h"
#include "fixture.h"
#include "kinds.pb-c.h"

static const struct json_limits limits = { .depth = 32, .values = 10000 };

static void compare_with_cjson(const char *text, size_t length)
{
	cJSON *json = cJSON_ParseWithLength(text, length);
	cJSON *again;
	char *written;

	if (!json)
		abort(); /* accepted by us, refused by cJSON */
	written = cJSON_PrintUnformatted(json);
	again = cJSON_Parse(written);
	if (!again || !cJSON_Compare(json, again, true))
		abort();
	cJSON_free(written);
	cJSON_Delete(again);
	cJSON_Delete(json);
}

static void round_trip(const struct message_table *table, const char *text, size_t length)
{
	ProtobufCMessage *message = NULL, *back = NULL;
	struct text first = { 0 }, second = { 0 };
	struct err err;

	if (json_read(table, text, length, &message, &err))
		return;
	if (json_write(&first, table, message, &err) ||
	    json_read(table, first.bytes, first.length, &back, &err) ||
	    json_write(&second, table, back, &err) || strcmp(first.bytes, second.bytes) != 0)
		abort();
	proto_message_free(message);
	proto_message_free(back);
	text_done(&first);
	text_done(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct message_table *table;
	static struct field_table *fields; /* until the program ends */
	const char *text = (const char *)data;
	struct err err;

	if (!fields) {
		fields = fixture_fields();
		table = fixture_message(fields, &test__kinds__v1__kinds__descriptor);
	}
	if (json_check(text, size, &limits, &err))
		return 0;
	compare_with_cjson(text, size);
	round_trip(table, text, size);
	return 0;
}
