/* SPDX-License-Identifier: Apache-2.0 */
#include "idempotency.h"

#include <stdbool.h>
#include <string.h>

#include <uuid/uuid.h>

#include "field_error.h"
#include "text.h"

#define HEADER	      "Idempotency-Key"
#define KEY_BYTES_MAX 255

/* Drawn by lot for this one use. */
static const uuid_t name_space = { 0x5d, 0x0e, 0x7c, 0x52, 0x90, 0x1b, 0x4f, 0x6e,
				   0x8a, 0x34, 0x2f, 0xd1, 0x66, 0xb8, 0x03, 0xc7 };

static bool is_key(const char *text)
{
	size_t length = strlen(text);

	for (size_t i = 0; i < length; i++)
		if (text[i] < 0x21 || text[i] > 0x7e)
			return false;
	return length >= 1 && length <= KEY_BYTES_MAX;
}

int idempotency_read(const struct request *request, const char *caller, struct idempotency_id *ret,
		     struct err *err)
{
	const char *key = request_header(request, HEADER);
	scoped_text struct text name = { 0 };
	uuid_t uuid;

	ret->s[0] = '\0';
	if (!key || strcmp(request->method, "POST") != 0)
		return 0;
	if (request_count_header(request, HEADER) != 1 || !is_key(key))
		return err_field(err, HEADER,
				 "the header " HEADER " is %s, must be 1 to %d printable ASCII "
				 "characters without blanks, given once",
				 field_quote(key).s, KEY_BYTES_MAX);
	text_append_format(&name, "%s\n%s %s\n%s", caller, request->method, request->target, key);
	if (name.incomplete)
		return err_set(err, ERR_INTERNAL, "out of memory for the header " HEADER);
	uuid_generate_sha1(uuid, name_space, name.bytes, name.length);
	uuid_unparse_lower(uuid, ret->s);
	return 0;
}
