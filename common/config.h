/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings of a daemon: one table, read from a configuration file ("key = value" a
 * line, '#' starts a comment) and then from the command line ("--key value" or
 * "--key=value", which win). Every setting can be given in both places; a list setting
 * may be repeated, and a list on the command line replaces the file's.
 *
 * config_parse() also answers --help, --version, and --check-config.
 */

#ifndef COMMON_CONFIG_H
#define COMMON_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

enum config_type {
	CONFIG_TEXT, /* const char *: borrowed from the config or the default */
	CONFIG_PATH, /* the same, must be absolute */
	CONFIG_UINT, /* uint64_t, within [min, max] */
	CONFIG_BOOL, /* bool: true/false, yes/no; a bare --key means true */
	CONFIG_LIST, /* struct config_list: every value given, in order */
};

struct config_list {
	size_t count;
	char **values; /* owned by the config */
};

struct config_setting {
	const char *name; /* "socket": --socket and "socket = " */
	enum config_type type;
	void *value;		  /* points at a variable of the type named above */
	const char *default_text; /* NULL: a NULL text or path, 0, false, no values */
	uint64_t min, max;	  /* CONFIG_UINT */
	const char *help;	  /* one line */
};

struct config {
	const char *program;	  /* "gpu-agent" */
	const char *description;  /* one line for --help */
	const char *default_file; /* read if it exists; --config FILE must exist */
	const struct config_setting *settings;
	size_t setting_count;

	/* Set by config_parse(). */
	bool check_only; /* --check-config: validate, print "ok", exit 0 */
	char **owned;	 /* texts that the values point into */
	size_t owned_count;
};

/*
 * Fills every setting. Returns 0 to go on, 1 when --help or --version was answered
 * (exit 0), or -1 with *err naming the file and line or the flag. Not thread safe.
 */
int config_parse(struct config *config, int argc, char **argv, struct err *err);
void config_done(struct config *config);

#endif
