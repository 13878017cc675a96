/* SPDX-License-Identifier: Apache-2.0 */
#include "image_json.h"

#include <stdbool.h>
#include <string.h>

/* cJSON ends a string at an escaped NUL instead of refusing it. */
int image_json_parse(const char *what, const char *document, size_t length, cJSON **ret,
		     struct err *err)
{
	cJSON *root = NULL;
	const char *end = NULL;

	if (length <= IMAGE_JSON_BYTES_MAX && !memmem(document, length, "\\u0000", 6))
		root = cJSON_ParseWithLengthOpts(document, length, &end, false);
	while (root && end < document + length && strchr(" \t\r\n", *end) && *end != '\0')
		end++;
	if (!root || end != document + length || !cJSON_IsObject(root)) {
		cJSON_Delete(root);
		return err_set(err, ERR_FAILED_PRECONDITION, "its %s is no JSON object", what);
	}
	*ret = root;
	return 0;
}

const char *image_json_text(const cJSON *object, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}
