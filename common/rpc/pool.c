/* SPDX-License-Identifier: Apache-2.0 */
#include "pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core.h"

/* As ps and strace show them. */
#define POOL_WORKER_NAME "rpc-pool"
#define POOL_LONG_NAME	 "rpc-long"

enum long_state {
	LONG_FREE,
	LONG_RUNNING,
	LONG_ENDED, /* the thread is to be joined */
};

struct long_thread {
	struct pool *pool;
	struct pool_job *job;
	pthread_t thread;
	enum long_state state;
};

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct pool_job *first;
	struct pool_job **last; /* where the next one is linked */
	int waiting, waiting_max;
	bool stopping;
	int worker_count;
	pthread_t *workers;
	int long_max;
	struct long_thread *longs;
};

static void *run_worker(void *arg)
{
	struct pool *pool = arg;

	(void)pthread_setname_np(pthread_self(), POOL_WORKER_NAME);
	pthread_mutex_lock(&pool->lock);
	for (;;) {
		struct pool_job *job;

		while (!pool->first && !pool->stopping)
			pthread_cond_wait(&pool->work, &pool->lock);
		job = pool->first;
		if (!job)
			break;
		pool->first = job->next;
		if (!pool->first)
			pool->last = &pool->first;
		pool->waiting--;
		pthread_mutex_unlock(&pool->lock);
		job->run(job);
		pthread_mutex_lock(&pool->lock);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

struct pool *pool_new(int workers, int queue_max, int long_max)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	pool->last = &pool->first;
	pool->waiting_max = queue_max;
	pool->long_max = long_max;
	pool->workers = calloc((size_t)workers, sizeof(*pool->workers));
	pool->longs = calloc((size_t)long_max, sizeof(*pool->longs));
	if (!pool->workers || !pool->longs) {
		pool_free(pool);
		return NULL;
	}
	for (; pool->worker_count < workers; pool->worker_count++) {
		if (core_thread_start(&pool->workers[pool->worker_count], run_worker, pool)) {
			pool_free(pool);
			return NULL;
		}
	}
	return pool;
}

void pool_free(struct pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->stopping = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (int i = 0; i < pool->worker_count; i++)
		pthread_join(pool->workers[i], NULL);
	for (int i = 0; pool->longs && i < pool->long_max; i++)
		if (pool->longs[i].state != LONG_FREE)
			pthread_join(pool->longs[i].thread, NULL);
	pthread_mutex_destroy(&pool->lock);
	pthread_cond_destroy(&pool->work);
	free(pool->workers);
	free(pool->longs);
	free(pool);
}

int pool_add(struct pool *pool, struct pool_job *job)
{
	int r = -EAGAIN;

	pthread_mutex_lock(&pool->lock);
	if (pool->waiting < pool->waiting_max) {
		job->next = NULL;
		*pool->last = job;
		pool->last = &job->next;
		pool->waiting++;
		pthread_cond_signal(&pool->work);
		r = 0;
	}
	pthread_mutex_unlock(&pool->lock);
	return r;
}

static void *run_long(void *arg)
{
	struct long_thread *self = arg;

	(void)pthread_setname_np(pthread_self(), POOL_LONG_NAME);
	self->job->run(self->job);
	pthread_mutex_lock(&self->pool->lock);
	self->state = LONG_ENDED;
	pthread_mutex_unlock(&self->pool->lock);
	return NULL;
}

/* A place whose thread, if it had one, has been joined. */
static struct long_thread *find_place_locked(struct pool *pool)
{
	for (int i = 0; i < pool->long_max; i++) {
		struct long_thread *place = &pool->longs[i];

		if (place->state == LONG_RUNNING)
			continue;
		if (place->state == LONG_ENDED)
			pthread_join(place->thread, NULL); /* at its last instruction */
		place->state = LONG_FREE;
		return place;
	}
	return NULL;
}

int pool_add_long(struct pool *pool, struct pool_job *job)
{
	struct long_thread *place;
	int r = -EAGAIN;

	pthread_mutex_lock(&pool->lock);
	place = find_place_locked(pool);
	if (place) {
		place->pool = pool;
		place->job = job;
		if (core_thread_start(&place->thread, run_long, place) == 0) {
			place->state = LONG_RUNNING;
			r = 0;
		}
	}
	pthread_mutex_unlock(&pool->lock);
	return r;
}
