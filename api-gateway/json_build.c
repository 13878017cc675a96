/* SPDX-License-Identifier: Apache-2.0 */
#include "json_build.h"

static void begin(struct json_build *json)
{
	if (json->comma)
		text_append_string(json->to, ",");
	json->comma = true;
}

void json_build_open(struct json_build *json, char bracket)
{
	begin(json);
	text_append(json->to, &bracket, 1);
	json->comma = false;
}

void json_build_close(struct json_build *json, char bracket)
{
	text_append(json->to, &bracket, 1);
	json->comma = true;
}

void json_build_key(struct json_build *json, const char *name)
{
	json_build_string(json, name);
	text_append_string(json->to, ":");
	json->comma = false;
}

void json_build_string(struct json_build *json, const char *value)
{
	begin(json);
	text_append_json_string(json->to, value);
}

void json_build_raw(struct json_build *json, const char *value)
{
	begin(json);
	text_append_string(json->to, value);
}

void json_build_member(struct json_build *json, const char *name, const char *string)
{
	json_build_key(json, name);
	json_build_string(json, string);
}

void json_build_raw_member(struct json_build *json, const char *name, const char *value)
{
	json_build_key(json, name);
	json_build_raw(json, value);
}

void json_build_open_member(struct json_build *json, const char *name, char bracket)
{
	json_build_key(json, name);
	json_build_open(json, bracket);
}
