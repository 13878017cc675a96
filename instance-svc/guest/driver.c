/* SPDX-License-Identifier: Apache-2.0 */
#include "driver.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/scoped.h"

#define WORDS_MAX 512 /* devices, or modules named; beyond that they are left out */

/* A command line, with the texts that it owns. */
struct words {
	char *list[WORDS_MAX + 1];
	size_t count;
};

static void words_add(struct words *words, const char *word)
{
	if (words->count < WORDS_MAX)
		words->list[words->count] = strdup(word);
	if (words->count < WORDS_MAX && words->list[words->count])
		words->count++;
}

static void words_done(struct words *words)
{
	for (size_t i = 0; i < words->count; i++)
		free(words->list[i]);
	*words = (struct words){ 0 };
}

/* The first line of a file without its end; false when there is none. */
static bool line_read(const char *path, char *line, size_t size)
{
	scoped_file FILE *file = fopen(path, "re");

	if (!file || !fgets(line, (int)size, file))
		return false;
	line[strcspn(line, "\n")] = '\0';
	return line[0] != '\0';
}

static void add_pci_aliases(struct words *words)
{
	scoped_dir DIR *dir = opendir("/sys/bus/pci/devices");
	char path[PATH_MAX], alias[512];
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/modalias", entry->d_name);
		if (entry->d_name[0] != '.' && line_read(path, alias, sizeof(alias)))
			words_add(words, alias);
	}
}

/* One module a line; comments begin with '#' or ';'. Options behind a name are not for here. */
static void add_file(struct words *words, const char *path)
{
	scoped_file FILE *file = fopen(path, "re");
	char line[512];

	while (file && fgets(line, sizeof(line), file)) {
		char *name = line + strspn(line, " \t");

		name[strcspn(name, " \t\r\n#;")] = '\0';
		if (name[0] != '\0')
			words_add(words, name);
	}
}

static void add_named(struct words *words)
{
	static const char *const folders[] = { "/etc/modules-load.d", "/run/modules-load.d",
					       "/usr/lib/modules-load.d" };
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		scoped_dir DIR *dir = opendir(folders[i]);
		struct dirent *entry;

		while (dir && (entry = readdir(dir))) {
			size_t length = strlen(entry->d_name);

			if (length <= 5 || strcmp(entry->d_name + length - 5, ".conf") != 0)
				continue;
			snprintf(path, sizeof(path), "%s/%s", folders[i], entry->d_name);
			add_file(words, path);
		}
	}
	add_file(words, "/etc/modules");
}

/* The image's program in one of the usual places; false when it has none. */
static bool program_find(const char *name, char path[PATH_MAX])
{
	static const char *const folders[] = { "/usr/sbin", "/sbin", "/usr/bin", "/bin" };

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		snprintf(path, PATH_MAX, "%s/%s", folders[i], name);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

static void run(char *const *argv, int output)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		dup2(output, STDOUT_FILENO);
		dup2(output, STDERR_FILENO);
		execv(argv[0], argv);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
}

/* Most devices have no module in the image, which is nothing to be told: hence "-q". */
static void load(const char *modprobe, const char *options, void (*add)(struct words *words),
		 int output)
{
	struct words words = { 0 };

	words_add(&words, modprobe);
	words_add(&words, options);
	add(&words);
	if (words.count > 2)
		run(words.list, output);
	words_done(&words);
}

/* An image that was put together without running depmod. */
static void index_make(const char *folder, int output)
{
	char path[PATH_MAX], program[PATH_MAX], all[] = "-a";
	char *const argv[] = { program, all, NULL };

	snprintf(path, sizeof(path), "%s/modules.dep", folder);
	if (access(path, F_OK) < 0 && program_find("depmod", program))
		run(argv, output);
}

void driver_load_all(int output)
{
	struct utsname kernel;
	char folder[PATH_MAX], modprobe[PATH_MAX];

	if (uname(&kernel) < 0)
		return;
	snprintf(folder, sizeof(folder), "/lib/modules/%s", kernel.release);
	if (access(folder, F_OK) < 0)
		return;
	if (!program_find("modprobe", modprobe)) {
		dprintf(output,
			"hypeman: the image has kernel modules in %s but no modprobe: they are not "
			"loaded\n",
			folder);
		return;
	}
	index_make(folder, output);
	load(modprobe, "-abq", add_pci_aliases, output);
	load(modprobe, "-a", add_named, output);
}
