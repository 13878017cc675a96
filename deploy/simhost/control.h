/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control file: what a test does to the host beside using it, one command a line. README.md
 * lists them. Words are separated by spaces.
 */

#ifndef SIMHOST_CONTROL_H
#define SIMHOST_CONTROL_H

#include "host.h"

#define CONTROL_WORDS_MAX 4

/* The state of the host, a line for each thing. */
void control_show(struct host *host, FILE *out);

/*
 * 0, or -errno of the first command that fails: -EINVAL no command, or no such object; else what
 * a write to the file that does the same would get.
 */
int control_run(struct host *host, const char *text);

/* The command "fault", words[0] to words[count - 1]. */
int control_fault(struct host *host, char *const *words, size_t count);
void control_faults_show(const struct host *host, FILE *out);

/* A decimal number of at most nine digits, or -EINVAL. */
int control_number(const char *text, uint32_t *ret);

/* The present function at this address; NULL: there is none. */
struct function *control_function(struct host *host, const char *text);

#endif
