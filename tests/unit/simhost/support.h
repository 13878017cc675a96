/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts for tests of the model, and a writer that notes what became of its write. */

#ifndef TEST_SIMHOST_SUPPORT_H
#define TEST_SIMHOST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "capacity.h"
#include "group.h"
#include "host.h"
#include "late.h"
#include "mdev.h"
#include "tree.h"

#define UUID(n) "00000000-0000-4000-8000-00000000" n /* n: four hexadecimal digits */

static const struct process writer_process = { .id = 100, .command = "writer" };
static const struct process other_process = { .id = 200, .command = "qemu" };

struct writer {
	struct waiter waiter; /* first */
	unsigned int call_count;
	int result;
};

static void writer_done(struct waiter *waiter, int result)
{
	struct writer *writer = (struct writer *)waiter;

	writer->call_count++;
	writer->result = result;
}

static inline struct writer writer_make(void)
{
	return (struct writer){ .waiter.done = writer_done };
}

static inline struct host *host_make(const char *spec_text)
{
	struct host *host = NULL;
	struct spec spec;
	struct err err;

	if (spec_parse(spec_text, &spec, &err) < 0 || host_new(&spec, BOARDS_DIR, &host, &err) < 0)
		fail_msg("%s", err.message);
	return host;
}

static inline struct function *function_at(struct host *host, const char *address)
{
	struct function *function;
	struct bdf bdf;

	assert_int_equal(bdf_parse(address, &bdf), 0);
	function = host_find_function(host, bdf);
	assert_non_null(function);
	return function;
}

/* The type whose name ends in "-<suffix>". */
static inline const struct board_type *type_named(const struct function *function,
						  const char *suffix)
{
	const struct board *board = function->gpu->board;

	for (size_t i = 0; i < board->type_count; i++) {
		const char *dash = strrchr(board->types[i].name, '-');

		if (dash && strcmp(dash + 1, suffix) == 0)
			return &board->types[i];
	}
	fail_msg("no type %s", suffix);
	return NULL;
}

static inline int create_text(struct host *host, const char *address, const char *type,
			      const char *text)
{
	struct function *function = function_at(host, address);

	return mdev_create(host, function, type_named(function, type), text, strlen(text));
}

/* With a UUID of its own for each call. */
static inline int create(struct host *host, const char *address, const char *type)
{
	static unsigned int last;
	char uuid[HOST_UUID_SIZE];

	snprintf(uuid, sizeof(uuid), "11111111-0000-4000-8000-%012u", ++last);
	return create_text(host, address, type, uuid);
}

static inline uint64_t available(struct host *host, const char *address, const char *type)
{
	const struct function *function = function_at(host, address);

	return mdev_available(function, type_named(function, type));
}

/* On virtual function number i of a GPU at bus, whose physical function is bus:00.0. */
static inline int create_on_vf(struct host *host, const char *bus, unsigned int i, const char *type)
{
	char address[32];

	snprintf(address, sizeof(address), "0000:%s:%02x.%x", bus, (i + 4) >> 3, (i + 4) & 7);
	return create(host, address, type);
}

/* How many creates succeed, over all virtual functions of the GPU in turn. */
static inline unsigned int fill(struct host *host, const char *bus, unsigned int vfs,
				const char *type)
{
	unsigned int created = 0;

	for (unsigned int i = 0; i < vfs; i++)
		if (create_on_vf(host, bus, i, type) == 0)
			created++;
	return created;
}

/* ---- the tree ------------------------------------------------------------------ */

static inline struct node at(struct host *host, const char *path)
{
	struct node node;

	if (tree_resolve(host, path, &node) < 0)
		fail_msg("no %s", path);
	return node;
}

static inline bool exists(struct host *host, const char *path)
{
	struct node node;

	return tree_resolve(host, path, &node) == 0;
}

/* *ret as tree_show(). The caller frees it. */
static inline char *show(struct host *host, struct node node, int *ret)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	assert_non_null(out);
	*ret = tree_show(host, node, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static inline void expect_text(struct host *host, const char *path, const char *text)
{
	scoped_free char *shown = NULL;
	int r;

	shown = show(host, at(host, path), &r);
	assert_int_equal(r, 0);
	assert_string_equal(shown, text);
}

static inline int read_result(struct host *host, const char *path)
{
	scoped_free char *shown = NULL;
	int r;

	shown = show(host, at(host, path), &r);
	return r;
}

/* As serve.c does: what can go on then does. */
static inline int store_as(struct host *host, const char *path, const char *text,
			   struct waiter *waiter)
{
	const struct tree_write write = {
		.text = text,
		.length = strlen(text),
		.writer = writer_process,
		.waiter = waiter,
	};
	int r = tree_store(host, at(host, path), &write);

	(void)late_settle(host);
	return r;
}

/* That does not have to wait. */
static inline int store(struct host *host, const char *path, const char *text)
{
	return store_as(host, path, text, NULL);
}

static inline void pass_time(struct host *host, int64_t ms)
{
	host->clock_ahead_ms += ms;
	(void)late_settle(host);
}

#endif
