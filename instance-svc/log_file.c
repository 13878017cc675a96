/* SPDX-License-Identifier: Apache-2.0 */
#include "log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/scoped.h"

static const char *const stems[] = {
	[LOG_APP] = "app.log",
	[LOG_VMM] = "vmm.log",
	[LOG_HYPEMAN] = "hypeman.log",
};

struct log_name log_name(enum log_source source, unsigned age)
{
	struct log_name name;

	if (age == 0)
		snprintf(name.s, sizeof(name.s), "%s", stems[source]);
	else
		snprintf(name.s, sizeof(name.s), "%s.%u", stems[source], age);
	return name;
}

int log_writer_open(struct log_writer *writer, int directory, enum log_source source)
{
	struct stat st;

	writer->directory = directory;
	writer->source = source;
	writer->fd = openat(directory, stems[source],
			    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (writer->fd < 0)
		return -errno;
	if (fstat(writer->fd, &st) < 0)
		return -errno;
	writer->size = (size_t)st.st_size;
	return 0;
}

void log_writer_close(struct log_writer *writer)
{
	if (writer->fd >= 0)
		close(writer->fd);
	writer->fd = -1;
}

static void rotate(struct log_writer *writer)
{
	for (unsigned age = LOG_FILE_COUNT - 1; age > 0; age--)
		(void)renameat(writer->directory, log_name(writer->source, age - 1).s,
			       writer->directory, log_name(writer->source, age).s);
	log_writer_close(writer);
	(void)log_writer_open(writer, writer->directory, writer->source);
}

void log_writer_write(struct log_writer *writer, const char *bytes, size_t size)
{
	while (size > 0) {
		size_t part = size < LOG_FILE_MAX ? size : LOG_FILE_MAX;
		ssize_t n;

		if (writer->size > 0 && writer->size + part > LOG_FILE_MAX)
			rotate(writer);
		n = write(writer->fd, bytes, part);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		writer->size += (size_t)n;
		bytes += n;
		size -= (size_t)n;
	}
}

/* "2026-01-31T12:00:00.123Z " */
static size_t print_time(char *to, size_t size)
{
	struct timespec now;
	struct tm utc;
	size_t used;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	used = strftime(to, size, "%Y-%m-%dT%H:%M:%S", &utc);
	used += (size_t)snprintf(to + used, size - used, ".%03ldZ ", now.tv_nsec / 1000000);
	return used;
}

void log_event(int directory, const char *format, ...)
{
	scoped_fd int lock = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct log_writer writer;
	char line[1200];
	size_t used = print_time(line, sizeof(line));
	va_list args;

	va_start(args, format);
	vsnprintf(line + used, sizeof(line) - used - 1, format, args);
	va_end(args);
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
	strcat(line, "\n");
	if (lock < 0 || flock(lock, LOCK_EX) < 0)
		return;
	if (log_writer_open(&writer, directory, LOG_HYPEMAN) == 0)
		log_writer_write(&writer, line, strlen(line));
	log_writer_close(&writer);
}
