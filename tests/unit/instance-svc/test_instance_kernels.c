/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/scoped.h"
#include "instance-svc/kernels.h"

struct fixture {
	char folder[64], kept[96], kernel[96], initramfs[96];
	struct err err;
};

static void write_file(const char *path, const char *bytes, size_t size)
{
	scoped_file FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
}

static void write_text(const char *path, const char *text)
{
	write_file(path, text, strlen(text));
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	snprintf(f->folder, sizeof(f->folder), "/tmp/kernels-test-XXXXXX");
	if (!mkdtemp(f->folder))
		return -1;
	snprintf(f->kept, sizeof(f->kept), "%s/kept", f->folder);
	snprintf(f->kernel, sizeof(f->kernel), "%s/kernel", f->folder);
	snprintf(f->initramfs, sizeof(f->initramfs), "%s/initramfs", f->folder);
	write_text(f->kernel, "Linux version %s (%s)\0 junk Linux version 6.1.0-56-cloud (x)");
	write_text(f->initramfs, "first");
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", f->folder);
	(void)!system(command);
	free(f);
	return 0;
}

static struct kernel_name keep(struct fixture *f)
{
	struct kernel_name name;

	if (kernels_keep(f->kept, f->kernel, f->initramfs, &name, &f->err) < 0)
		fail_msg("%s", f->err.message);
	return name;
}

static void expect_text(const char *path, const char *expected)
{
	scoped_file FILE *file = fopen(path, "re");
	char text[256] = "";

	assert_non_null(file);
	(void)!fread(text, 1, sizeof(text) - 1, file);
	assert_string_equal(text, expected);
}

static void what_is_installed_later_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct kernel_name first = keep(f), second;
	struct kernel_paths paths;
	struct stat st;

	assert_string_equal(keep(f).s, first.s);
	write_text(f->initramfs, "another");
	second = keep(f);
	assert_string_not_equal(first.s, second.s);

	assert_int_equal(kernels_find(f->kept, first.s, &paths, &f->err), 0);
	expect_text(paths.initramfs, "first");
	assert_int_equal(stat(paths.kernel, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	assert_int_equal(kernels_find(f->kept, second.s, &paths, &f->err), 0);
	expect_text(paths.initramfs, "another");
}

static void expect_release(struct fixture *f, const char *bytes, size_t size, const char *release)
{
	write_file(f->kernel, bytes, size);
	assert_string_equal(kernels_release(keep(f).s).s, release);
}

static void a_release_is_found_in_each_kind_of_kernel(void **state)
{
	struct fixture *f = *state;
	char image[0x400] = "MZ";

	expect_release(f, "xx Linux version 6.1.0-56-cloud-amd64 (debian)", 46,
		       "6.1.0-56-cloud-amd64");
	memcpy(image + 0x202, "HdrS", 4);
	image[0x20e] = 0x10;
	image[0x20f] = 0x01;
	snprintf(image + 0x310, 32, "6.12.9-test (me@here)");
	expect_release(f, image, sizeof(image), "6.12.9-test");
	/* The header may lie. */
	image[0x20f] = (char)0xff;
	expect_release(f, image, sizeof(image), "unknown");
	expect_release(f, "no kernel", 9, "unknown");
	expect_release(f, "Linux version 6.1/../../etc (x)", 31, "6.1");
}

static bool is_used(void *user, const char *name)
{
	return strcmp(user, name) == 0;
}

static void what_nobody_uses_is_removed(void **state)
{
	struct fixture *f = *state;
	struct kernel_name first = keep(f), second;
	struct kernel_paths paths;
	char unfinished[128];

	write_text(f->initramfs, "another");
	second = keep(f);
	snprintf(unfinished, sizeof(unfinished), "%s/.new-x", f->kept);
	assert_int_equal(mkdir(unfinished, 0755), 0);
	kernels_collect(f->kept, is_used, second.s);

	assert_int_equal(kernels_find(f->kept, second.s, &paths, &f->err), 0);
	assert_int_equal(kernels_find(f->kept, first.s, &paths, &f->err), -1);
	assert_int_equal(f->err.reason, ERR_NOT_FOUND);
	assert_int_equal(access(unfinished, F_OK), -1);
}

static void a_kernel_that_is_not_there_is_told(void **state)
{
	struct fixture *f = *state;
	struct kernel_name name;

	unlink(f->initramfs);
	assert_int_equal(kernels_keep(f->kept, f->kernel, f->initramfs, &name, &f->err), -1);
	assert_non_null(strstr(f->err.message, f->initramfs));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_installed_later_changes_nothing),
		TEST(a_release_is_found_in_each_kind_of_kernel),
		TEST(what_nobody_uses_is_removed),
		TEST(a_kernel_that_is_not_there_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
