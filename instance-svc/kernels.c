/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/scoped.h"

#define UNFINISHED ".new-"
#define KERNEL	   "vmlinux"
#define INITRAMFS  "initramfs.cpio"

static const char release_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					 "0123456789.-_+~";

/* ---- What a kernel is called ---- */

/* A bzImage says where its version is (boot protocol 2.0: "HdrS" at 0x202, offset at 0x20e). */
static const char *find_in_header(const char *bytes, size_t size)
{
	uint16_t offset;

	if (size < 0x210 || memcmp(bytes + 0x202, "HdrS", 4) != 0)
		return NULL;
	memcpy(&offset, bytes + 0x20e, sizeof(offset));
	return (size_t)offset + 0x200 < size ? bytes + 0x200 + offset : NULL;
}

/* The banner of an uncompressed one; the same words also begin a format, with a '%'. */
static const char *find_banner(const char *bytes, size_t size)
{
	static const char banner[] = "Linux version ";
	const size_t length = sizeof(banner) - 1;
	const char *end = bytes + size;

	for (const char *at = bytes; (at = memmem(at, (size_t)(end - at), banner, length));) {
		at += length;
		if (at < end && *at >= '0' && *at <= '9')
			return at;
	}
	return NULL;
}

static void read_release(const char *bytes, size_t size, char *ret, size_t ret_size)
{
	const char *text = find_in_header(bytes, size);
	size_t length = 0;

	if (!text)
		text = find_banner(bytes, size);
	while (text && text + length < bytes + size && length + 1 < ret_size && text[length] &&
	       strchr(release_characters, text[length]))
		length++;
	if (length > 0 && text[0] != '.')
		snprintf(ret, ret_size, "%.*s", (int)length, text);
	else
		snprintf(ret, ret_size, "unknown");
}

/* FNV-1a, over what tells one file from another that took its place. */
static uint64_t mark(uint64_t hash, const struct stat *st)
{
	const uint64_t values[] = { (uint64_t)st->st_size, (uint64_t)st->st_mtim.tv_sec,
				    (uint64_t)st->st_mtim.tv_nsec };

	for (size_t i = 0; i < sizeof(values); i++)
		hash = (hash ^ ((const unsigned char *)values)[i]) * UINT64_C(1099511628211);
	return hash;
}

static int make_name(int kernel, int initramfs, struct kernel_name *ret, struct err *err)
{
	struct stat of_kernel, of_initramfs;
	char release[80];
	void *bytes;

	if (fstat(kernel, &of_kernel) < 0 || fstat(initramfs, &of_initramfs) < 0)
		return err_sys(err, errno, "cannot look at the guest's kernel");
	bytes = mmap(NULL, (size_t)of_kernel.st_size, PROT_READ, MAP_PRIVATE, kernel, 0);
	if (bytes == MAP_FAILED)
		return err_sys(err, errno, "cannot read the guest's kernel");
	read_release(bytes, (size_t)of_kernel.st_size, release, sizeof(release));
	munmap(bytes, (size_t)of_kernel.st_size);
	snprintf(ret->s, sizeof(ret->s), "%s.%012" PRIx64, release,
		 mark(mark(UINT64_C(14695981039346656037), &of_kernel), &of_initramfs) >> 16);
	return 0;
}

struct kernel_name kernels_release(const char *name)
{
	const char *dot = strrchr(name, '.');
	struct kernel_name release;

	snprintf(release.s, sizeof(release.s), "%.*s", (int)(dot ? dot - name : 0), name);
	return release;
}

/* ---- Keeping ---- */

static int copy_file(int from, int directory, const char *name)
{
	scoped_fd int to = openat(directory, name,
				  O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	ssize_t n;

	if (to < 0)
		return -errno;
	/* Not copy_file_range(): it refuses two kinds of file system. */
	while ((n = sendfile(to, from, NULL, 1 << 30)) > 0)
		;
	if (n < 0 || fchmod(to, 0644) < 0 || fsync(to) < 0)
		return -errno;
	return 0;
}

/* Complete under another name first: whoever finds it finds all of it. */
static int copy_both(int directory, const char *name, int kernel, int initramfs)
{
	char temporary[KERNEL_NAME_MAX + sizeof(UNFINISHED)];
	scoped_fd int fresh = -1;
	int r;

	snprintf(temporary, sizeof(temporary), UNFINISHED "%s", name);
	if (mkdirat(directory, temporary, 0755) < 0 && errno != EEXIST)
		return -errno;
	fresh = openat(directory, temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fresh < 0)
		return -errno;
	r = copy_file(kernel, fresh, KERNEL);
	if (r == 0)
		r = copy_file(initramfs, fresh, INITRAMFS);
	if (r == 0 && (fchmod(fresh, 0755) < 0 || fsync(fresh) < 0 ||
		       renameat(directory, temporary, directory, name) < 0 || fsync(directory) < 0))
		r = -errno;
	return r;
}

static int open_directory(const char *path, int *ret, struct err *err)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return err_sys(err, errno, "cannot make %s", path);
	*ret = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return *ret < 0 ? err_sys(err, errno, "cannot open %s", path) : 0;
}

int kernels_keep(const char *directory, const char *kernel, const char *initramfs,
		 struct kernel_name *ret, struct err *err)
{
	scoped_fd int in = open(kernel, O_RDONLY | O_CLOEXEC);
	scoped_fd int more = open(initramfs, O_RDONLY | O_CLOEXEC);
	scoped_fd int folder = -1;
	struct stat st;
	int r = 0;

	if (in < 0 || more < 0)
		return err_sys(err, errno, "cannot open %s", in < 0 ? kernel : initramfs);
	if (open_directory(directory, &folder, err) < 0 || make_name(in, more, ret, err) < 0)
		return -1;
	if (fstatat(folder, ret->s, &st, AT_SYMLINK_NOFOLLOW) < 0)
		r = copy_both(folder, ret->s, in, more);
	return r < 0 ? err_sys(err, r, "cannot keep a copy of %s in %s", kernel, directory) : 0;
}

int kernels_find(const char *directory, const char *name, struct kernel_paths *ret, struct err *err)
{
	snprintf(ret->kernel, sizeof(ret->kernel), "%s/%s/" KERNEL, directory, name);
	snprintf(ret->initramfs, sizeof(ret->initramfs), "%s/%s/" INITRAMFS, directory, name);
	if (access(ret->kernel, R_OK) < 0 || access(ret->initramfs, R_OK) < 0)
		return err_set(err, ERR_NOT_FOUND, "the guest kernel '%s' is no longer here", name);
	return 0;
}

/* ---- Removing ---- */

static void remove_kernel(int directory, const char *name)
{
	scoped_fd int folder =
		openat(directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (folder < 0)
		return;
	(void)unlinkat(folder, KERNEL, 0);
	(void)unlinkat(folder, INITRAMFS, 0);
	(void)unlinkat(directory, name, AT_REMOVEDIR);
}

void kernels_collect(const char *directory, bool (*used)(void *user, const char *name), void *user)
{
	scoped_dir DIR *dir = opendir(directory);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		bool unfinished = strncmp(entry->d_name, UNFINISHED, strlen(UNFINISHED)) == 0;

		if (unfinished || (entry->d_name[0] != '.' && !used(user, entry->d_name)))
			remove_kernel(dirfd(dir), entry->d_name);
	}
}
