/* SPDX-License-Identifier: Apache-2.0 */
#include "token.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <jwt.h>

#include "common/scoped.h"

#include "base64.h"
#include "field_error.h"
#include "json_check.h"

SCOPED_DEFINE(cJSON *, cJSON_Delete);

/* libjwt's parser goes down as deep as the text does, on our small stacks, before it looks at
 * the signature. */
static const struct json_limits limits = { .depth = 4, .values = 256 };

static int fail(struct err *err, const char *why)
{
	return err_set(err, ERR_UNAUTHENTICATED, "the token is not accepted: %s", why);
}

/* The JSON object that a part of the token encodes; NULL when it is none. */
static cJSON *read_part(const char *part, size_t length, struct err *err)
{
	size_t padded = (length + 3) / 4 * 4, size;
	scoped_free char *text = malloc(padded + 1);
	scoped_free uint8_t *bytes = NULL;
	cJSON *object;

	if (!text)
		return NULL;
	for (size_t i = 0; i < length; i++)
		text[i] = part[i] == '-' ? '+' : part[i] == '_' ? '/' : part[i];
	memset(text + length, '=', padded - length);
	text[padded] = '\0';
	if (memchr(part, '+', length) || memchr(part, '/', length) || memchr(part, '=', length) ||
	    base64_parse(text, &bytes, &size) || size == 0 ||
	    json_check((char *)bytes, size, &limits, err))
		return NULL;
	object = cJSON_ParseWithLength((char *)bytes, size);
	if (!cJSON_IsObject(object)) {
		cJSON_Delete(object);
		return NULL;
	}
	return object;
}

/* What the signature is made with is said by us, not by who sends the token. */
static int check_header(const cJSON *header, struct err *err)
{
	const cJSON *alg = cJSON_GetObjectItemCaseSensitive(header, "alg");

	if (!cJSON_IsString(alg) || strcmp(alg->valuestring, "HS256") != 0)
		return fail(err, "its alg must be HS256");
	if (cJSON_HasObjectItem(header, "crit"))
		return fail(err, "it has a crit header, of which none is known here");
	return 0;
}

/* libjwt compares in constant time (Debian's 1.10.2-1+deb12u1). */
static int check_signature(const char *token, const uint8_t *key, size_t key_length,
			   struct err *err)
{
	jwt_t *jwt = NULL;
	int r = jwt_decode(&jwt, token, key, (int)key_length);
	bool good = r == 0 && jwt_get_alg(jwt) == JWT_ALG_HS256;

	jwt_free(jwt);
	return good ? 0 : fail(err, "its signature is not ours");
}

static int check_times(const cJSON *claims, time_t now, struct err *err)
{
	const cJSON *expires = cJSON_GetObjectItemCaseSensitive(claims, "exp");
	const cJSON *begins = cJSON_GetObjectItemCaseSensitive(claims, "nbf");

	if (!cJSON_IsNumber(expires))
		return fail(err, "it must have an exp, in seconds since 1970");
	if (expires->valuedouble <= (double)now)
		return fail(err, "it has expired");
	if (begins && !cJSON_IsNumber(begins))
		return fail(err, "its nbf must be a number");
	if (begins && begins->valuedouble > (double)now)
		return fail(err, "its time has not begun");
	return 0;
}

static int read_subject(const cJSON *claims, struct token_subject *ret, struct err *err)
{
	const cJSON *subject = cJSON_GetObjectItemCaseSensitive(claims, "sub");

	ret->s[0] = '\0';
	if (!subject)
		return 0;
	if (!cJSON_IsString(subject) || strlen(subject->valuestring) >= sizeof(ret->s))
		return fail(err, "its sub must be a text of at most 127 bytes");
	strcpy(ret->s, subject->valuestring);
	return 0;
}

/* Whether a word of the token, of `length`, stands for one of ours. */
static bool covers(const char *word, size_t length, const char *ours, size_t ours_length)
{
	return (length == 1 && word[0] == '*') ||
	       (length == ours_length && memcmp(word, ours, length) == 0);
}

static bool grants(const char *permission, const char *scope)
{
	size_t area = strcspn(permission, ":"), ours = strcspn(scope, ":");

	if (strcmp(permission, "*") == 0)
		return true;
	return permission[area] == ':' && covers(permission, area, scope, ours) &&
	       covers(permission + area + 1, strlen(permission + area + 1), scope + ours + 1,
		      strlen(scope + ours + 1));
}

static int check_scope(const cJSON *claims, const char *scope, struct err *err)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(claims, "permissions");
	const cJSON *permission;
	bool granted = !list || !scope;

	if (list && !cJSON_IsArray(list))
		return fail(err, "its permissions must be a list of texts");
	cJSON_ArrayForEach(permission, list)
	{
		if (!cJSON_IsString(permission))
			return fail(err, "its permissions must be a list of texts");
		granted = granted || grants(permission->valuestring, scope);
	}
	if (!granted)
		return err_set(err, ERR_FORBIDDEN, "the token's permissions do not include %s",
			       scope);
	return 0;
}

int token_check(const char *token, const uint8_t *key, size_t key_length, time_t now,
		const char *scope, struct token_subject *ret, struct err *err)
{
	const char *dot = strchr(token, '.');
	const char *second = dot ? strchr(dot + 1, '.') : NULL;
	scoped(cJSON_Delete) cJSON *header = NULL;
	scoped(cJSON_Delete) cJSON *claims = NULL;

	if (!second || strchr(second + 1, '.') || strlen(token) > TOKEN_BYTES_MAX)
		return fail(err, "it must be a JWT of three parts, at most 8192 bytes long");
	header = read_part(token, (size_t)(dot - token), err);
	claims = read_part(dot + 1, (size_t)(second - dot - 1), err);
	if (!header || !claims)
		return fail(err, "its parts must be JSON objects in base64url");
	if (check_header(header, err) || check_signature(token, key, key_length, err) ||
	    check_times(claims, now, err) || read_subject(claims, ret, err))
		return -1;
	return check_scope(claims, scope, err);
}
