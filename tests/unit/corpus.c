/* SPDX-License-Identifier: Apache-2.0 */
/* Gives a fuzz target each file of its corpus, in every build: libFuzzer needs one of its own. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/scoped.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(int folder, const char *name)
{
	scoped_fd int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
	scoped_free uint8_t *data = NULL;
	struct stat stat;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &stat), 0);
	data = malloc((size_t)stat.st_size + 1);
	assert_non_null(data);
	assert_int_equal(read(fd, data, (size_t)stat.st_size), stat.st_size);
	data[stat.st_size] = '\0'; /* strict_string_checks looks for it, even in strndup() */
	assert_int_equal(LLVMFuzzerTestOneInput(data, (size_t)stat.st_size), 0);
}

static void every_file_of_the_corpus_keeps_the_promises(void **state)
{
	scoped_dir DIR *folder = opendir(CORPUS_DIR);
	const struct dirent *entry;
	unsigned files = 0;

	(void)state;
	assert_non_null(folder);
	while ((entry = readdir(folder))) {
		if (entry->d_name[0] == '.')
			continue;
		run(dirfd(folder), entry->d_name);
		files++;
	}
	assert_true(files > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_file_of_the_corpus_keeps_the_promises),
	};

	return cmocka_run_group_tests_name(CORPUS_NAME, tests, NULL, NULL);
}
