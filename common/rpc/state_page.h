/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two numbers in a file beside a server's socket, <path>.state, that tell its clients without a
 * call whether anything may have changed: an epoch, new at each start before the server listens,
 * and a generation, which grows after each change and before any write is answered.
 *
 * So who read both before it asked the server, and reads the same while its connection stands,
 * knows that no write was answered since.
 */

#ifndef COMMON_RPC_STATE_PAGE_H
#define COMMON_RPC_STATE_PAGE_H

#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

struct state_page;

/* Of the server that holds the socket's lock. NULL with *err. */
struct state_page *state_page_new(const char *socket_path, struct err *err);
void state_page_free(struct state_page *page); /* the file stays, as the lock's does */

/* Any thread. NULL is fine: nobody looks. */
void state_page_bump(struct state_page *page);

/* A client's view, of a file that `uid` must own. A descriptor; -1: there is none. */
int state_page_open(const char *socket_path, uid_t uid);

/* 0, or -EIO. */
int state_page_read(int fd, uint64_t *ret_epoch, uint64_t *ret_generation);

#endif
