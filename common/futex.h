/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for a word in memory to change, without a lock that all who are woken then want. */

#ifndef COMMON_FUTEX_H
#define COMMON_FUTEX_H

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/*
 * Returns when the word is not `value`, when it was woken, or for no reason: look again.
 * -ETIMEDOUT at `deadline` (of CLOCK_MONOTONIC; NULL: none).
 */
static inline int futex_wait(atomic_int *word, int value, const struct timespec *deadline)
{
	if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, value, deadline, NULL,
		    FUTEX_BITSET_MATCH_ANY) < 0 &&
	    errno == ETIMEDOUT)
		return -ETIMEDOUT;
	return 0;
}

/* After a change. Harmless if the waiters, and the word with them, are gone. */
static inline void futex_wake(atomic_int *word, int count)
{
	syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, count, NULL, NULL, 0);
}

#endif
