/* SPDX-License-Identifier: Apache-2.0 */
#include "json_check.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/rpc/utf8.h"
#include "common/scoped.h"

#define NUMBER_LENGTH_MAX 60

/* An unescaped key of an object that is not closed yet. */
struct key {
	size_t offset; /* in checker.unescaped */
	size_t length;
};

struct checker {
	const char *start;
	const char *at;
	const char *end;
	const struct json_limits *limits;
	unsigned depth;
	size_t values;

	/* Stacks: an object pops its own keys when it closes. */
	struct key *keys;
	size_t key_count;
	size_t key_room;
	char *unescaped; /* as long as the text, allocated with the first object */
	size_t unescaped_length;

	struct err *err;
};

static int check_value(struct checker *c);

static int fail_at(struct checker *c, const char *at, const char *what)
{
	size_t line = 1, column = 1;

	for (const char *p = c->start; p < at; p++) {
		column++;
		if (*p == '\n') {
			line++;
			column = 1;
		}
	}
	return err_set(c->err, ERR_INVALID_ARGUMENT,
		       "the body is not valid JSON: line %zu, column %zu: %s", line, column, what);
}

static int fail(struct checker *c, const char *what)
{
	return fail_at(c, c->at, what);
}

/* "<found> where <expected> should be" */
static int fail_expected(struct checker *c, const char *expected)
{
	char what[128];

	if (c->at == c->end)
		snprintf(what, sizeof(what), "the end where %s should be", expected);
	else if (*c->at > 0x20 && *c->at < 0x7f)
		snprintf(what, sizeof(what), "'%c' where %s should be", *c->at, expected);
	else
		snprintf(what, sizeof(what), "byte 0x%02x where %s should be",
			 (unsigned char)*c->at, expected);
	return fail(c, what);
}

static bool at_char(const struct checker *c, char expected)
{
	return c->at < c->end && *c->at == expected;
}

static bool at_digit(const struct checker *c)
{
	return c->at < c->end && *c->at >= '0' && *c->at <= '9';
}

static void skip_space(struct checker *c)
{
	while (c->at < c->end &&
	       (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
		c->at++;
}

static int count_value(struct checker *c)
{
	char what[80];

	if (++c->values <= c->limits->values)
		return 0;
	snprintf(what, sizeof(what), "more than %zu values and keys", c->limits->values);
	return fail(c, what);
}

/* Four hex digits at c->at. */
static int check_hex4(struct checker *c, uint32_t *ret)
{
	uint32_t value = 0;

	for (int i = 0; i < 4; i++, c->at++) {
		char digit = c->at < c->end ? *c->at : '\0';

		if (digit >= '0' && digit <= '9')
			value = value * 16 + (uint32_t)(digit - '0');
		else if ((digit | 0x20) >= 'a' && (digit | 0x20) <= 'f')
			value = value * 16 + (uint32_t)((digit | 0x20) - 'a' + 10);
		else
			return fail_expected(c, "a hex digit of a \\u escape");
	}
	*ret = value;
	return 0;
}

/* After "\u". Surrogates must be a pair: the result is a character. */
static int check_unicode_escape(struct checker *c, uint32_t *ret)
{
	const char *escape = c->at - 2;
	uint32_t high = 0, low = 0;

	if (check_hex4(c, &high))
		return -1;
	if (high == 0)
		return fail_at(c, escape, "\\u0000 is not accepted");
	if (high >= 0xdc00 && high <= 0xdfff)
		return fail_at(c, escape, "a low surrogate without a high one before it");
	if (high < 0xd800 || high > 0xdbff) {
		*ret = high;
		return 0;
	}
	if (c->end - c->at < 2 || c->at[0] != '\\' || c->at[1] != 'u')
		return fail_at(c, escape, "a high surrogate without a low one after it");
	c->at += 2;
	if (check_hex4(c, &low))
		return -1;
	if (low < 0xdc00 || low > 0xdfff)
		return fail_at(c, escape, "a high surrogate without a low one after it");
	*ret = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
	return 0;
}

static size_t utf8_encode(uint32_t character, char *to)
{
	if (character < 0x80) {
		to[0] = (char)character;
		return 1;
	}
	if (character < 0x800) {
		to[0] = (char)(0xc0 | character >> 6);
		to[1] = (char)(0x80 | (character & 0x3f));
		return 2;
	}
	if (character < 0x10000) {
		to[0] = (char)(0xe0 | character >> 12);
		to[1] = (char)(0x80 | (character >> 6 & 0x3f));
		to[2] = (char)(0x80 | (character & 0x3f));
		return 3;
	}
	to[0] = (char)(0xf0 | character >> 18);
	to[1] = (char)(0x80 | (character >> 12 & 0x3f));
	to[2] = (char)(0x80 | (character >> 6 & 0x3f));
	to[3] = (char)(0x80 | (character & 0x3f));
	return 4;
}

/* After the backslash. */
static int check_escape(struct checker *c, uint32_t *ret)
{
	static const char from[] = "\"\\/bfnrt";
	static const char to[] = "\"\\/\b\f\n\r\t";
	const char *found;

	if (at_char(c, 'u')) {
		c->at++;
		return check_unicode_escape(c, ret);
	}
	found = c->at < c->end && *c->at ? strchr(from, *c->at) : NULL;
	if (!found)
		return fail_expected(c, "one of \"\\/bfnrtu after a backslash");
	*ret = (uint32_t)to[found - from];
	c->at++;
	return 0;
}

/* At the opening quote. A non-NULL key receives the unescaped text. */
static int check_string(struct checker *c, struct key *key)
{
	const char *opening = c->at++;
	char *to = key ? c->unescaped + c->unescaped_length : NULL;

	while (!at_char(c, '"')) {
		char character[4];
		size_t length = 1;

		if (c->at == c->end)
			return fail_at(c, opening, "a string that does not end");
		if ((unsigned char)*c->at < 0x20)
			return fail(c, "a control character in a string must be escaped");
		if (*c->at == '\\') {
			uint32_t value = 0;

			c->at++;
			if (check_escape(c, &value))
				return -1;
			length = utf8_encode(value, character);
		} else {
			character[0] = *c->at++;
		}
		if (key) {
			memcpy(to, character, length);
			to += length;
		}
	}
	c->at++;
	if (key) {
		key->offset = c->unescaped_length;
		key->length = (size_t)(to - c->unescaped) - key->offset;
		c->unescaped_length += key->length;
	}
	return 0;
}

static int check_digits(struct checker *c, const char *expected)
{
	if (!at_digit(c))
		return fail_expected(c, expected);
	while (at_digit(c))
		c->at++;
	return 0;
}

static int check_magnitude(struct checker *c, const char *number, bool is_integer)
{
	char copy[NUMBER_LENGTH_MAX + 1];
	size_t length = (size_t)(c->at - number);
	long long integer;

	if (length > NUMBER_LENGTH_MAX)
		return fail_at(c, number, "a number longer than 60 characters");
	memcpy(copy, number, length);
	copy[length] = '\0';
	if (!isfinite(strtod(copy, NULL)))
		return fail_at(c, number, "a number beyond what a double can hold");
	errno = 0;
	integer = is_integer ? strtoll(copy, NULL, 10) : 0;
	if (errno || integer > JSON_INTEGER_MAX || integer < -JSON_INTEGER_MAX)
		return fail_at(c, number,
			       "an integer beyond 9007199254740991, the largest that is exact");
	return 0;
}

static int check_number(struct checker *c)
{
	const char *number = c->at;
	bool is_integer = true;

	if (at_char(c, '-'))
		c->at++;
	if (at_char(c, '0')) {
		c->at++;
		if (at_digit(c))
			return fail_at(c, number, "a number with a leading zero");
	} else if (check_digits(c, "a digit")) {
		return -1;
	}
	if (at_char(c, '.')) {
		is_integer = false;
		c->at++;
		if (check_digits(c, "a digit after the decimal point"))
			return -1;
	}
	if (at_char(c, 'e') || at_char(c, 'E')) {
		is_integer = false;
		c->at++;
		if (at_char(c, '+') || at_char(c, '-'))
			c->at++;
		if (check_digits(c, "a digit of the exponent"))
			return -1;
	}
	return check_magnitude(c, number, is_integer);
}

static int check_word(struct checker *c, const char *word)
{
	size_t length = strlen(word);

	if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length) != 0)
		return fail_expected(c, "a value");
	c->at += length;
	return 0;
}

static int enter(struct checker *c)
{
	char what[64];

	if (++c->depth <= c->limits->depth) {
		c->at++;
		return 0;
	}
	snprintf(what, sizeof(what), "nested deeper than %u levels", c->limits->depth);
	return fail(c, what);
}

static int check_array(struct checker *c)
{
	if (enter(c))
		return -1;
	skip_space(c);
	if (!at_char(c, ']')) {
		for (;;) {
			if (check_value(c))
				return -1;
			if (at_char(c, ']'))
				break;
			if (!at_char(c, ','))
				return fail_expected(c, "',' or ']'");
			c->at++;
			skip_space(c);
		}
	}
	c->at++;
	c->depth--;
	return 0;
}

static int push_key(struct checker *c)
{
	struct key *key;

	if (!c->unescaped && !(c->unescaped = malloc((size_t)(c->end - c->start))))
		return err_sys(c->err, ENOMEM, "cannot check the body");
	if (c->key_count == c->key_room) {
		size_t room = c->key_room ? c->key_room * 2 : 32;
		struct key *keys = realloc(c->keys, room * sizeof(*keys));

		if (!keys)
			return err_sys(c->err, ENOMEM, "cannot check the body");
		c->keys = keys;
		c->key_room = room;
	}
	if (!at_char(c, '"'))
		return fail_expected(c, "a key in quotes");
	if (count_value(c))
		return -1;
	key = &c->keys[c->key_count++];
	return check_string(c, key);
}

static int key_compare(const void *a, const void *b, void *unescaped)
{
	const struct key *left = a, *right = b;
	const char *base = unescaped;
	size_t shorter = left->length < right->length ? left->length : right->length;
	int order = memcmp(base + left->offset, base + right->offset, shorter);

	if (order != 0)
		return order;
	return (left->length > right->length) - (left->length < right->length);
}

/* Sorting needs no protection against keys chosen to collide, as hashing would. */
static int check_duplicates(struct checker *c, size_t first)
{
	size_t count = c->key_count - first;
	struct key *keys;

	if (count < 2)
		return 0;
	keys = c->keys + first;
	qsort_r(keys, count, sizeof(*keys), key_compare, c->unescaped);
	for (size_t i = 1; i < count; i++) {
		char what[96];

		if (key_compare(&keys[i - 1], &keys[i], c->unescaped) != 0)
			continue;
		snprintf(what, sizeof(what), "the key '%.*s' is twice in one object",
			 keys[i].length > 40 ? 40 : (int)keys[i].length,
			 c->unescaped + keys[i].offset);
		utf8_repair(what);
		return fail(c, what);
	}
	return 0;
}

static int check_member(struct checker *c)
{
	if (push_key(c))
		return -1;
	skip_space(c);
	if (!at_char(c, ':'))
		return fail_expected(c, "':'");
	c->at++;
	return check_value(c);
}

static int check_object(struct checker *c)
{
	size_t first_key = c->key_count;
	size_t unescaped_length = c->unescaped_length;

	if (enter(c))
		return -1;
	skip_space(c);
	if (!at_char(c, '}')) {
		for (;;) {
			if (check_member(c))
				return -1;
			if (at_char(c, '}'))
				break;
			if (!at_char(c, ','))
				return fail_expected(c, "',' or '}'");
			c->at++;
			skip_space(c);
		}
	}
	if (check_duplicates(c, first_key))
		return -1;
	c->at++;
	c->depth--;
	c->key_count = first_key;
	c->unescaped_length = unescaped_length;
	return 0;
}

static int check_bare_value(struct checker *c)
{
	switch (c->at < c->end ? *c->at : '\0') {
	case '{':
		return check_object(c);
	case '[':
		return check_array(c);
	case '"':
		return check_string(c, NULL);
	case 't':
		return check_word(c, "true");
	case 'f':
		return check_word(c, "false");
	case 'n':
		return check_word(c, "null");
	default:
		if (at_digit(c) || at_char(c, '-'))
			return check_number(c);
		return fail_expected(c, "a value");
	}
}

/* A value with the white space around it. */
static int check_value(struct checker *c)
{
	skip_space(c);
	if (count_value(c) || check_bare_value(c))
		return -1;
	skip_space(c);
	return 0;
}

int json_check(const char *text, size_t length, const struct json_limits *limits, struct err *err)
{
	struct checker c = {
		.start = text, .at = text, .end = text + length, .limits = limits, .err = err
	};
	size_t valid = utf8_valid_length(text, length);
	int r;

	if (valid < length)
		return fail_at(&c, text + valid,
			       text[valid] ? "a byte that is not UTF-8" : "a NUL byte");
	r = check_value(&c);
	if (r == 0 && c.at < c.end)
		r = fail_expected(&c, "the end");
	free(c.keys);
	free(c.unescaped);
	return r;
}
