/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <errno.h>
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
		{ HEAD "sharing none\n", "x.board:7: 'none': takes equal-size or any-size" },
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
		{ "l40s", 23, 32, 49152 },   { "a40", 22, 32, 49152 }, { "a2", 15, 16, 16384 },
		{ "a100-40", 6, 20, 40960 }, { "t4", 17, 0, 16384 },   { "gvt-g", 2, 0, 1024 },
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
		cmocka_unit_test(the_types_of_the_l40s_are_the_real_ones),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
