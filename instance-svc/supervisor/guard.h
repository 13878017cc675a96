/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Closes what a guest must not reach, in the network namespace that pasta made: the host's
 * own addresses (all of them: pasta copies only one into the namespace, and would connect
 * to the others from the host's side) and link-local addresses, where clouds serve
 * metadata and credentials.
 *
 * Addresses are those the host has when the VM starts.
 */

#ifndef INSTANCE_SVC_SUPERVISOR_GUARD_H
#define INSTANCE_SVC_SUPERVISOR_GUARD_H

#include <netinet/in.h>
#include <stddef.h>

#include "common/err.h"

/* An address range, family AF_INET or AF_INET6. */
struct guard_range {
	int family;
	unsigned prefix;
	unsigned char address[16]; /* network order; 4 bytes for AF_INET */
};

#define GUARD_RANGES_MAX 512

/* The host's addresses, "a.b.c.d" or IPv6, each with a space after it: for the command line. */
int guard_list_host(char *text, size_t size, struct err *err);

/* Reads such a list and adds the ranges that are always closed. Returns the count, or -1. */
int guard_parse(const char *text, struct guard_range *ranges, size_t max, struct err *err);

/* Makes each range unreachable in this network namespace. */
int guard_close(const struct guard_range *ranges, size_t count, struct err *err);

/* "guard-network HOST-ADDRESSES PROGRAM ARG...": closes, then executes. Does not return. */
int guard_main(int argc, char **argv);

#endif
