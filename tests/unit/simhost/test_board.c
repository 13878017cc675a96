/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define HEAD                                                                                       \
	"vendor 10de\ndevice 26b9\nsubsystem 10de:1851\nclass 030200\nrevision a1\ndriver nvidia\n"
#define MDEV_HEAD HEAD "mdev-driver nvidia-vgpu-vfio\nframebuffer 4096\n"
#define TYPE	  "type 1 framebuffer=1024 max=4 heads=4 frl=60 resolution=1x1 name=\"N X-1Q\"\n"

static char dir[] = "/tmp/test_simhost_board.XXXXXX";
static char path[sizeof(dir) + sizeof("/x.board")];

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/x.board", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

static int load(const char *text, struct board **ret, struct err *err)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
	return board_load(dir, "x", ret, err);
}

static void a_board_is_read(void **state)
{
	scoped(board_free) struct board *board = NULL;
	struct err err;

	(void)state;
	assert_int_equal(load("# comment\n\n" MDEV_HEAD "vfs 8 # eight\nreset \"flr bus\"\n"
			      "audio 10de:22ba\nsharing any-size\nrefusal ENOSPC\n" TYPE
			      "type B_2 framebuffer=512 max=8 description=\"a: 1\\nb: 2\"\n",
			      &board, &err),
			 0);

	assert_int_equal(board->vendor, 0x10de);
	assert_int_equal(board->subsystem_device, 0x1851);
	assert_int_equal(board->class_code, 0x030200);
	assert_int_equal(board->vfs, 8);
	assert_string_equal(board->reset_method, "flr bus");
	assert_int_equal(board->audio_device, 0x22ba);
	assert_int_equal(board->sharing, BOARD_ANY_SIZE);
	assert_int_equal(board->refusal, ENOSPC);
	assert_int_equal(board->type_count, 2);
	assert_string_equal(board->types[0].name, "N X-1Q");
	assert_string_equal(board->types[0].description,
			    "num_heads=4, frl_config=60, framebuffer=1024M, max_resolution=1x1, "
			    "max_instance=4");
	assert_string_equal(board->types[1].id, "B_2");
	assert_string_equal(board->types[1].name, "");
	assert_string_equal(board->types[1].description, "a: 1\nb: 2");
}

static void a_bad_board_is_named_with_line_and_word(void **state)
{
	static const struct {
		const char *text, *message;
	} bad[] = {
		{ "colour red\n", "x.board:1: 'colour': no such key" },
		{ "vendor 10DE\n", "x.board:1: '10DE': takes lower-case hexadecimal" },
		{ "vendor 10de0\n",
		  "x.board:1: '10de0': takes lower-case hexadecimal digits, up to "
		  "ffff" },
		{ "vendor\n", "x.board:1: 'vendor': takes one value" },
		{ "\nvendor 10de 1\n", "x.board:2: 'vendor': takes one value" },
		{ HEAD "driver x\n", "x.board:7: 'driver': is given twice" },
		{ HEAD "audio 10de\n", "x.board:7: '10de': takes two numbers" },
		{ HEAD "audio 10de:\n", "x.board:7: '': takes lower-case hexadecimal" },
		{ HEAD "vfs 129\n", "x.board:7: '129': takes a decimal number up to 128" },
		{ HEAD "vfs -1\n", "x.board:7: '-1': takes a decimal number" },
		{ HEAD "sharing none\n",
		  "x.board:7: 'none': takes equal-size, any-size or instances" },
		{ HEAD "refusal EPERM\n", "x.board:7: 'EPERM': takes EIO or ENOSPC" },
		{ HEAD "vendor-dir a/b\n", "x.board:7: 'a/b': too long, or has a slash" },
		{ HEAD "reset \"flr\n", "x.board:7: 'reset \"flr': an open quote" },
		{ HEAD "type\n", "x.board:7: 'type': takes the id of a type" },
		{ HEAD TYPE TYPE, "x.board:8: '1': this type is given twice" },
		{ HEAD "type 1 frl=abc\n", "x.board:7: 'frl=abc': takes a decimal number" },
		{ HEAD "type 1 fps=60\n", "x.board:7: 'fps=60': takes framebuffer=" },
		{ HEAD "type 1 max=4\n", "x.board:7: '1': needs framebuffer= and max=" },
		{ HEAD "type 1 framebuffer=1 max=1\n", "x.board:7: '1': needs heads=" },
		{ HEAD TYPE, "'framebuffer': is missing: the board has types" },
		{ HEAD "framebuffer 4096\n" TYPE, "'mdev-driver': is missing" },
		{ MDEV_HEAD "type 1 framebuffer=8192 max=1 description=x\n",
		  "'1': is larger than the framebuffer" },
		{ MDEV_HEAD "vfs 2\n" TYPE, "'1': has a max above vfs" },
		{ MDEV_HEAD "type 1 framebuffer=1 max=1 instances=1 description=x\n",
		  "'1': has instances, which need sharing instances" },
		{ MDEV_HEAD "sharing instances\n"
			    "type 1 framebuffer=1 max=1 instances=2 description=x\n",
		  "'1': has instances above its max" },
		{ "vendor 10de\n", "'device': is missing" },
		{ "a b c d e f g h i j k l m n o p q\n", "a line has at most 16 words" },
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct board *board = NULL;

		assert_int_equal(load(bad[i].text, &board, &err), -1);
		assert_null(board);
		if (!strstr(err.message, bad[i].message))
			fail_msg("'%s' has no '%s'", err.message, bad[i].message);
	}
}

static void a_board_that_is_not_there_is_named(void **state)
{
	struct board *board = NULL;
	struct err err;

	(void)state;
	assert_int_equal(board_load(dir, "y", &board, &err), -1);
	assert_non_null(strstr(err.message, "board 'y': cannot open"));
	assert_non_null(strstr(err.message, "No such file"));
}

static void the_boards_that_ship_load(void **state)
{
	static const struct {
		const char *name;
		size_t types;
		uint64_t vfs, framebuffer_mb;
	} rows[] = {
		{ "l40s", 23, 32, 49152 },    { "a40", 29, 32, 49152 },
		{ "a10", 23, 32, 24576 },     { "a16", 15, 16, 16384 },
		{ "a2", 15, 16, 16384 },      { "a30", 5, 20, 24576 },
		{ "a100-40", 6, 20, 40960 },  { "a100x-40", 6, 20, 40960 },
		{ "a100-80", 7, 20, 81920 },  { "a100x-80", 7, 20, 81920 },
		{ "t4", 17, 0, 16384 },	      { "v100-16", 17, 0, 16384 },
		{ "v100-32", 20, 0, 32768 },  { "p40", 25, 0, 24576 },
		{ "rtx6000", 23, 0, 24576 },  { "rtx6000p", 23, 0, 24576 },
		{ "rtxa6000", 29, 0, 49152 }, { "h200-nvl", 5, 32, 144384 },
		{ "gvt-g", 2, 0, 1024 },      { "rtx-pro-6000", 3, 48, 98304 },
		{ "h200x", 1, 32, 144384 },   { "a100-80-mig", 14, 20, 81920 },
		{ "mi300x", 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		scoped(board_free) struct board *board = NULL;
		struct err err;

		if (board_load(BOARDS_DIR, rows[i].name, &board, &err) < 0)
			fail_msg("%s", err.message);
		assert_int_equal(board->type_count, rows[i].types);
		assert_int_equal(board->vfs, rows[i].vfs);
		assert_int_equal(board->framebuffer_mb, rows[i].framebuffer_mb);
	}
}

/* "NVIDIA A40-24Q": 24 GiB, however often they fit, and no more than functions, or 32. */
static void check_by_name(const struct board *board, const struct board_type *type)
{
	uint64_t limit = board->vfs > 0 ? board->vfs : 32;
	uint64_t size_mb = strtoull(strrchr(type->name, '-') + 1, NULL, 10) * 1024;
	uint64_t count = board->framebuffer_mb / size_mb;

	if (type->framebuffer_mb != size_mb ||
	    type->max_instance != (count < limit ? count : limit))
		fail_msg("%s", type->name);
}

static void sizes_and_maxima_follow_from_the_names(void **state)
{
	DIR *folder = opendir(BOARDS_DIR);
	unsigned int count = 0;
	struct dirent *file;

	(void)state;
	assert_non_null(folder);
	while ((file = readdir(folder)) != NULL) {
		scoped(board_free) struct board *board = NULL;
		scoped_free char *name = strdup(file->d_name);
		char *dot = strstr(name, ".board");
		struct err err;

		if (!dot || strcmp(name, "gvt-g.board") == 0)
			continue;
		*dot = '\0';
		assert_int_equal(board_load(BOARDS_DIR, name, &board, &err), 0);
		for (size_t i = 0; i < board->type_count; i++)
			if (board->sharing != BOARD_INSTANCES)
				check_by_name(board, &board->types[i]);
		count++;
	}
	closedir(folder);
	assert_int_equal(count, 22);
}

/* The first and the last of each run of ids, as the tables of the driver's packages give them. */
static void ids_belong_to_their_names(void **state)
{
	static const struct {
		const char *board, *id, *name;
	} rows[] = {
		{ "a40", "587", "NVIDIA A40-48C" },
		{ "a10", "597", "NVIDIA A10-24Q" },
		{ "a10", "605", "NVIDIA A10-24A" },
		{ "a10", "614", "NVIDIA A10-24C" },
		{ "a16", "715", "NVIDIA A16-16Q" },
		{ "a16", "723", "NVIDIA A16-16C" },
		{ "a30", "688", "NVIDIA A30-24C" },
		{ "a100-40", "473", "GRID A100-40C" },
		{ "a100x-40", "462", "GRID A100X-40C" },
		{ "a100-80", "698", "GRID A100D-80C" },
		{ "a100x-80", "621", "GRID A100DX-80C" },
		{ "v100-16", "109", "GRID V100-16Q" },
		{ "v100-16", "114", "GRID V100-16A" },
		{ "v100-16", "301", "GRID V100-16C" },
		{ "v100-32", "185", "GRID V100D-32Q" },
		{ "v100-32", "191", "GRID V100D-32A" },
		{ "v100-32", "314", "GRID V100D-32C" },
		{ "p40", "53", "GRID P40-24Q" },
		{ "p40", "61", "GRID P40-24A" },
		{ "p40", "287", "GRID P40-24C" },
		{ "rtx6000", "263", "GRID RTX6000-24Q" },
		{ "rtx6000", "347", "GRID RTX6000-24C" },
		{ "rtx6000", "444", "GRID RTX6000-24A" },
		{ "rtx6000p", "401", "GRID RTX6000P-2B" },
		{ "rtx6000p", "399", "GRID RTX6000P-24A" },
		{ "rtxa6000", "543", "NVIDIA RTXA6000-48A" },
		{ "rtxa6000", "554", "NVIDIA RTXA6000-48C" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		scoped(board_free) struct board *board = NULL;
		const char *name = NULL;
		struct err err;

		assert_int_equal(board_load(BOARDS_DIR, rows[i].board, &board, &err), 0);
		for (size_t j = 0; j < board->type_count; j++)
			if (strcmp(board->types[j].id, rows[i].id) == 0)
				name = board->types[j].name;
		assert_non_null(name);
		assert_string_equal(name, rows[i].name);
	}
}

static void the_types_of_the_l40s_are_the_real_ones(void **state)
{
	static const struct {
		const char *id, *name;
	} rows[] = {
		{ "1145", "NVIDIA L40S-1B" },  { "1146", "NVIDIA L40S-2B" },
		{ "1147", "NVIDIA L40S-1Q" },  { "1148", "NVIDIA L40S-2Q" },
		{ "1149", "NVIDIA L40S-3Q" },  { "1150", "NVIDIA L40S-4Q" },
		{ "1151", "NVIDIA L40S-6Q" },  { "1152", "NVIDIA L40S-8Q" },
		{ "1153", "NVIDIA L40S-12Q" }, { "1154", "NVIDIA L40S-16Q" },
		{ "1155", "NVIDIA L40S-24Q" }, { "1156", "NVIDIA L40S-48Q" },
		{ "1157", "NVIDIA L40S-1A" },  { "1158", "NVIDIA L40S-2A" },
		{ "1159", "NVIDIA L40S-3A" },  { "1160", "NVIDIA L40S-4A" },
		{ "1161", "NVIDIA L40S-6A" },  { "1162", "NVIDIA L40S-8A" },
		{ "1163", "NVIDIA L40S-12A" }, { "1164", "NVIDIA L40S-16A" },
		{ "1165", "NVIDIA L40S-24A" }, { "1166", "NVIDIA L40S-48A" },
		{ "2164", "NVIDIA L40S-3B" },
	};
	scoped(board_free) struct board *board = NULL;
	struct err err;

	(void)state;
	assert_int_equal(board_load(BOARDS_DIR, "l40s", &board, &err), 0);
	assert_int_equal(board->type_count, sizeof(rows) / sizeof(rows[0]));
	for (size_t i = 0; i < board->type_count; i++) {
		assert_string_equal(board->types[i].id, rows[i].id);
		assert_string_equal(board->types[i].name, rows[i].name);
	}
	assert_string_equal(board->types[0].description,
			    "num_heads=4, frl_config=45, framebuffer=1024M, "
			    "max_resolution=5120x2880, max_instance=32");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_board_is_read),
		cmocka_unit_test(a_bad_board_is_named_with_line_and_word),
		cmocka_unit_test(a_board_that_is_not_there_is_named),
		cmocka_unit_test(the_boards_that_ship_load),
		cmocka_unit_test(sizes_and_maxima_follow_from_the_names),
		cmocka_unit_test(ids_belong_to_their_names),
		cmocka_unit_test(the_types_of_the_l40s_are_the_real_ones),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
