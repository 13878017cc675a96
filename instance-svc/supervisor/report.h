/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guest's init says about itself (guest/config.h). The guest may send anything:
 * a line is recorded, never acted upon further than that.
 */

#ifndef INSTANCE_SVC_SUPERVISOR_REPORT_H
#define INSTANCE_SVC_SUPERVISOR_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "instance-svc/guest/config.h"

enum report_kind {
	REPORT_STARTED,
	REPORT_EXIT,
	REPORT_FAILED,
};

struct report {
	enum report_kind kind;
	int exit_code;			  /* REPORT_EXIT: 0-255 */
	char text[GUEST_REPORT_LINE_MAX]; /* REPORT_EXIT, REPORT_FAILED */
};

/* One line without its end. 0, or -EINVAL with *ret untouched. */
int report_parse(const char *line, struct report *ret);

/* Cuts a stream of bytes into lines. A line that is too long is dropped as a whole. */
struct report_reader {
	char line[GUEST_REPORT_LINE_MAX];
	size_t size;
	bool overlong;
};

/*
 * Takes bytes up to the end of a line. Returns how many; *ret_line is the line, valid until
 * the next call, or NULL.
 */
size_t report_reader_feed(struct report_reader *reader, const char *bytes, size_t size,
			  const char **ret_line);

#endif
