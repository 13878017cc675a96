/* SPDX-License-Identifier: Apache-2.0 */
#include "image_check.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "image_listing.h"

#define LOOK_MS 50 /* at the caller's cancellation */

/* tar's output, cut into lines. */
struct reader {
	int fd; /* ours, not blocking */
	struct image_listing *listing;
	char line[IMAGE_LISTING_LINE_MAX];
	size_t size;
};

static int take_bytes(struct reader *reader, const char *bytes, size_t size, struct err *err)
{
	for (size_t i = 0; i < size; i++) {
		if (reader->size == sizeof(reader->line))
			return err_set(err, ERR_FAILED_PRECONDITION,
				       "it holds a path of more than %zu bytes",
				       sizeof(reader->line) / 4);
		reader->line[reader->size++] = bytes[i];
		if (bytes[i] != '\n')
			continue;
		reader->line[reader->size - 1] = '\0';
		reader->size = 0;
		if (image_listing_add(reader->listing, reader->line, err) < 0)
			return -1;
	}
	return 0;
}

/* To the end of the output: 0, or -1. */
static int read_all(struct reader *reader, const volatile bool *cancelled, struct err *err)
{
	char bytes[16 * 1024];
	ssize_t n;

	for (;;) {
		struct pollfd poll_fd = { .fd = reader->fd, .events = POLLIN };

		if (cancelled && __atomic_load_n(cancelled, __ATOMIC_RELAXED))
			return err_set(err, ERR_CANCELLED, "the pull was cancelled");
		if (poll(&poll_fd, 1, LOOK_MS) <= 0)
			continue;
		n = read(reader->fd, bytes, sizeof(bytes));
		if (n == 0)
			return 0;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return err_sys(err, errno, "cannot list it");
		if (n > 0 && take_bytes(reader, bytes, (size_t)n, err) < 0)
			return -1;
	}
}

static int start_tar(const struct image_work *work, const struct image_layer *layer,
		     struct process *ret, int *ret_fd, struct err *err)
{
	scoped_free char *file = NULL;
	scoped_fd int ours = -1, theirs = -1;
	int ends[2];

	if (asprintf(&file, "/work/oci/blobs/sha256/%s", strchr(layer->digest.s, ':') + 1) < 0) {
		file = NULL;
		return err_sys(err, ENOMEM, "cannot list it");
	}
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, errno, "cannot list it");
	ours = ends[0];
	theirs = ends[1];
	if (fcntl(ours, F_SETFL, O_NONBLOCK) < 0 ||
	    image_work_start(
		    work,
		    &(struct image_jail_run){
			    .jail = IMAGE_JAIL_LOOK,
			    .argv = (const char *const[]){ "tar", "--list", "--verbose",
							   "--numeric-owner", "--full-time",
							   "--utc", "--absolute-names",
							   "--quoting-style=escape", "--file", file,
							   NULL } },
		    theirs, ret, err) < 0)
		return -1;
	*ret_fd = TAKE_FD(ours);
	return 0;
}

static int check_layer(const struct image_work *work, const struct image_layer *layer,
		       struct image_listing *listing, const volatile bool *cancelled,
		       struct err *err)
{
	scoped_free struct reader *reader = calloc(1, sizeof(*reader));
	struct process tar = PROCESS_NONE;
	scoped_fd int fd = -1;
	int status = 0;

	if (!reader)
		return err_sys(err, ENOMEM, "cannot list it");
	if (start_tar(work, layer, &tar, &fd, err) < 0)
		return -1;
	reader->fd = fd;
	reader->listing = listing;
	if (read_all(reader, cancelled, err) < 0) {
		process_kill(&tar);
		return -1;
	}
	(void)process_wait(&tar, -1, &status);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(err, ERR_FAILED_PRECONDITION, "it is no tar archive: tar %s",
			       PROCESS_STATUS_STR(status));
	return 0;
}

int image_check_layers(const struct image_work *work, const struct image_layers *layers,
		       uint64_t bytes_max, const volatile bool *cancelled, uint64_t *ret_bytes,
		       struct err *err)
{
	struct image_listing listing = { .bytes_max = bytes_max };

	for (size_t i = 0; i < layers->count; i++)
		if (check_layer(work, &layers->list[i], &listing, cancelled, err) < 0)
			return err_prefix(err, "layer %zu of %zu", i + 1, layers->count);
	*ret_bytes = listing.bytes;
	return 0;
}
