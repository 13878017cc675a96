/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The three logs of an instance and how they are written. "app.log" is what the guest's
 * console said, "vmm.log" what QEMU and its network helpers said, "hypeman.log" what we
 * did. A file that reaches LOG_FILE_MAX is renamed to ".1", ".1" to ".2" and so on;
 * the oldest of LOG_FILE_COUNT is dropped. So the logs of one instance are bounded,
 * whatever the guest does.
 */

#ifndef INSTANCE_SVC_LOG_FILE_H
#define INSTANCE_SVC_LOG_FILE_H

#include <stddef.h>
#include <stdint.h>

#define LOG_FILE_MAX   (2U << 20)
#define LOG_FILE_COUNT 4

enum log_source {
	LOG_APP = 0,
	LOG_VMM = 1,
	LOG_HYPEMAN = 2,
};

struct log_name {
	char s[32];
};

/* "app.log" for age 0, "app.log.1" for the one before it, ... */
struct log_name log_name(enum log_source source, unsigned age);

/* One log that one process writes for as long as it runs. */
struct log_writer {
	int directory; /* borrowed */
	enum log_source source;
	int fd;
	size_t size;
};

/* 0 or -errno. Appends to what is there. */
int log_writer_open(struct log_writer *writer, int directory, enum log_source source);
void log_writer_close(struct log_writer *writer);

/*
 * Never fails for good: what a full disk refuses is dropped, so that the guest is not
 * stopped by its own output.
 */
void log_writer_write(struct log_writer *writer, const char *bytes, size_t size);

/*
 * Appends "<time> <text>" to the hypeman log. Any process may do so at any time (a lock on
 * the directory keeps lines and rotation apart).
 */
void log_event(int directory, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
