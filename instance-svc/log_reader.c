/* SPDX-License-Identifier: Apache-2.0 */
#include "log_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "utf8.h"

struct log_reader {
	int directory; /* owned */
	enum log_source source;
	int fd;			/* owned; the file being read, -1 while there is none */
	char raw[LOG_LINE_MAX]; /* read, not handed out yet */
	size_t raw_size;
	char line[LOG_LINE_MAX + 1];
};

static int open_age(const struct log_reader *reader, unsigned age)
{
	return openat(reader->directory, log_name(reader->source, age).s,
		      O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

static bool is_same_file(int fd, const struct stat *other)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_ino == other->st_ino && st.st_dev == other->st_dev;
}

/*
 * Where the last *lines lines of a file begin. Less in *lines afterwards: so many are still
 * missing, and the file counts from its start.
 */
static off_t find_tail(int fd, size_t *lines)
{
	char block[16 * 1024];
	struct stat st;
	off_t end;

	if (fstat(fd, &st) < 0)
		return 0;
	end = st.st_size;
	while (end > 0) {
		size_t want = end < (off_t)sizeof(block) ? (size_t)end : sizeof(block);
		ssize_t n = pread(fd, block, want, end - (off_t)want);

		if (n != (ssize_t)want)
			return 0;
		end -= n;
		for (size_t i = want; i > 0; i--) {
			/* The newline at the very end closes a line, it does not start one. */
			if (block[i - 1] != '\n' || end + (off_t)i == st.st_size)
				continue;
			if (--*lines == 0)
				return end + (off_t)i;
		}
	}
	if (st.st_size > 0)
		--*lines; /* the first line has no newline before it */
	return 0;
}

/* Goes back from the newest file until enough lines are ahead. */
static void seek_tail(struct log_reader *reader, size_t tail)
{
	size_t missing = tail;

	for (unsigned age = 0; age < LOG_FILE_COUNT; age++) {
		int fd = open_age(reader, age);
		struct stat st;
		off_t start;

		if (fd < 0)
			return;
		if (reader->fd >= 0 && fstat(reader->fd, &st) == 0 && is_same_file(fd, &st)) {
			close(fd); /* rotated between two looks */
			continue;
		}
		if (reader->fd >= 0)
			close(reader->fd);
		reader->fd = fd;
		start = missing > 0 ? find_tail(fd, &missing) : lseek(fd, 0, SEEK_END);
		(void)lseek(fd, start, SEEK_SET);
		if (missing == 0)
			return;
	}
}

struct log_reader *log_reader_open(int take_directory, enum log_source source, size_t tail)
{
	scoped_fd int directory = take_directory;
	struct log_reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return NULL;
	reader->directory = TAKE_FD(directory);
	reader->source = source;
	reader->fd = -1;
	seek_tail(reader, tail);
	return reader;
}

void log_reader_close(struct log_reader *reader)
{
	if (!reader)
		return;
	if (reader->fd >= 0)
		close(reader->fd);
	close(reader->directory);
	free(reader);
}

/* Moves on to the file that was begun after ours. False: ours is still the newest. */
static bool open_next(struct log_reader *reader)
{
	unsigned next = LOG_FILE_COUNT - 1; /* ours is gone: the oldest there is */
	struct stat st;
	int fd;

	if (reader->fd < 0) {
		reader->fd = open_age(reader, 0);
		return reader->fd >= 0;
	}
	for (unsigned age = 0; age < LOG_FILE_COUNT; age++) {
		if (fstatat(reader->directory, log_name(reader->source, age).s, &st, 0) < 0)
			break;
		if (!is_same_file(reader->fd, &st)) {
			next = age;
			continue;
		}
		if (age == 0)
			return false;
		next = age - 1;
		break;
	}
	fd = open_age(reader, next);
	if (fd < 0)
		return false; /* in the middle of a rotation: look again next time */
	close(reader->fd);
	reader->fd = fd;
	return true;
}

/* False: nothing new, now. */
static bool read_more(struct log_reader *reader)
{
	ssize_t n = -1;

	if (reader->raw_size == sizeof(reader->raw))
		return false;
	do {
		if (reader->fd >= 0)
			n = read(reader->fd, reader->raw + reader->raw_size,
				 sizeof(reader->raw) - reader->raw_size);
		if (n > 0) {
			reader->raw_size += (size_t)n;
			return true;
		}
	} while ((n == 0 || reader->fd < 0) && open_next(reader));
	return false;
}

/* Hands out the first `length` bytes as a line; `end` bytes after them are its end. */
static const char *take(struct log_reader *reader, size_t length, size_t end)
{
	size_t used, drop;

	used = utf8_clean(reader->raw, length, reader->line, sizeof(reader->line), &drop);
	reader->line[used] = '\0';
	if (drop == length)
		drop += end;
	reader->raw_size -= drop;
	memmove(reader->raw, reader->raw + drop, reader->raw_size);
	return reader->line;
}

const char *log_reader_next(struct log_reader *reader, bool unfinished)
{
	for (;;) {
		const char *newline = memchr(reader->raw, '\n', reader->raw_size);

		if (newline) {
			size_t length = (size_t)(newline - reader->raw);

			if (length > 0 && newline[-1] == '\r')
				return take(reader, length - 1, 2);
			return take(reader, length, 1);
		}
		if (read_more(reader))
			continue;
		if (reader->raw_size == sizeof(reader->raw) || (unfinished && reader->raw_size > 0))
			return take(reader, reader->raw_size, 0);
		return NULL;
	}
}
