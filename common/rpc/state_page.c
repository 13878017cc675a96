/* SPDX-License-Identifier: Apache-2.0 */
#include "state_page.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/scoped.h"

#define SUFFIX ".state"

struct page {
	uint64_t epoch;
	_Atomic uint64_t generation;
};

struct state_page {
	struct page *mapped;
};

static char *path_of(const char *socket_path)
{
	char *path;

	return asprintf(&path, "%s" SUFFIX, socket_path) < 0 ? NULL : path;
}

/* The same file at each start: a client that still has it open sees the new epoch. */
static int map(const char *path, struct page **ret)
{
	scoped_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	struct page page = { 0 };
	void *mapped;

	/* Whatever the umask; and written, so that a full disk is met now and not as SIGBUS. */
	if (fd < 0 || fchmod(fd, 0644) < 0 ||
	    getrandom(&page.epoch, sizeof(page.epoch), 0) != sizeof(page.epoch))
		return -errno;
	if (pwrite(fd, &page, sizeof(page), 0) != (ssize_t)sizeof(page))
		return errno ? -errno : -EIO;
	mapped = mmap(NULL, sizeof(page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mapped == MAP_FAILED)
		return -errno;
	*ret = mapped;
	return 0;
}

struct state_page *state_page_new(const char *socket_path, struct err *err)
{
	scoped_free char *path = path_of(socket_path);
	struct state_page *page = calloc(1, sizeof(*page));
	int r = path && page ? map(path, &page->mapped) : -ENOMEM;

	if (r == 0)
		return page;
	err_sys(err, r, "cannot make %s" SUFFIX, socket_path);
	free(page);
	return NULL;
}

void state_page_free(struct state_page *page)
{
	if (!page)
		return;
	munmap(page->mapped, sizeof(*page->mapped));
	free(page);
}

void state_page_bump(struct state_page *page)
{
	if (page)
		atomic_fetch_add(&page->mapped->generation, 1);
}

int state_page_open(const char *socket_path, uid_t uid)
{
	scoped_free char *path = path_of(socket_path);
	scoped_fd int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != uid)
		return -1;
	return TAKE_FD(fd);
}

/* Read, not mapped: a server that cuts the file short shall not end its clients. */
int state_page_read(int fd, uint64_t *ret_epoch, uint64_t *ret_generation)
{
	uint64_t words[2];

	if (pread(fd, words, sizeof(words), 0) != (ssize_t)sizeof(words))
		return -EIO;
	*ret_epoch = words[0];
	*ret_generation = words[1];
	return 0;
}
