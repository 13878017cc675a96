/* SPDX-License-Identifier: Apache-2.0 */
/* Writes JSON piece by piece; commas come by themselves. Whether it is whole, its text knows. */

#ifndef API_GATEWAY_JSON_BUILD_H
#define API_GATEWAY_JSON_BUILD_H

#include <stdbool.h>

#include "text.h"

struct json_build {
	struct text *to;
	bool comma; /* before what comes next */
};

/* '{' or '[', and '}' or ']'. */
void json_build_open(struct json_build *json, char bracket);
void json_build_close(struct json_build *json, char bracket);

/* A member's name; its value comes next. */
void json_build_key(struct json_build *json, const char *name);

void json_build_string(struct json_build *json, const char *value);

/* A value as it is to be written: "true", "12", "{\"a\":1}". */
void json_build_raw(struct json_build *json, const char *value);

/* A member with its value. */
void json_build_member(struct json_build *json, const char *name, const char *string);
void json_build_raw_member(struct json_build *json, const char *name, const char *value);

/* A member that is opened, as by json_build_open(). */
void json_build_open_member(struct json_build *json, const char *name, char bracket);

#endif
