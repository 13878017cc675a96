/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that run handlers: a fixed number for short calls with a bounded queue before
 * them, and a bounded number of threads that each run one long call.
 */

#ifndef COMMON_RPC_POOL_H
#define COMMON_RPC_POOL_H

struct pool;

struct pool_job {
	void (*run)(struct pool_job *job); /* may free the job */
	struct pool_job *next;		   /* the pool's */
};

/* NULL when memory or threads run out. */
struct pool *pool_new(int workers, int queue_max, int long_max);

/* Waits for every job; none may be added meanwhile. */
void pool_free(struct pool *pool);

/* 0, or -EAGAIN when as many jobs wait already as may. */
int pool_add(struct pool *pool, struct pool_job *job);

/* A thread of its own. 0, or -EAGAIN when no more may run or no thread can be made. */
int pool_add_long(struct pool *pool, struct pool_job *job);

#endif
