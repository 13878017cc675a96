/* SPDX-License-Identifier: Apache-2.0 */
#include "poller.h"

#include <limits.h>

#include "common/futex.h"

static struct {
	pthread_mutex_t lock;
	grpc_completion_queue *queue; /* NULL: not running */
	pthread_t thread;
} poller = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void *run(void *queue)
{
	core_queue_run(queue);
	return NULL;
}

grpc_completion_queue *poller_queue(void)
{
	grpc_completion_queue *queue;

	pthread_mutex_lock(&poller.lock);
	if (!poller.queue) {
		queue = grpc_completion_queue_create_for_next(NULL);
		if (core_thread_start(&poller.thread, run, queue) == 0) {
			poller.queue = queue;
		} else {
			grpc_completion_queue_shutdown(queue);
			core_queue_run(queue);
			grpc_completion_queue_destroy(queue);
		}
	}
	queue = poller.queue;
	pthread_mutex_unlock(&poller.lock);
	return queue;
}

void poller_stop(void)
{
	pthread_mutex_lock(&poller.lock);
	if (poller.queue) {
		grpc_completion_queue_shutdown(poller.queue);
		pthread_join(poller.thread, NULL);
		grpc_completion_queue_destroy(poller.queue);
		poller.queue = NULL;
	}
	pthread_mutex_unlock(&poller.lock);
}

/* After the store the waiter may be gone: waking an address that nobody waits on is harmless. */
static void wake(struct core_tag *tag, bool ok)
{
	struct poller_wait *wait = CORE_CONTAINER(tag, struct poller_wait, tag);
	atomic_int *done = &wait->done;

	(void)ok;
	atomic_store(done, 1);
	futex_wake(done, INT_MAX);
}

void poller_wait_init(struct poller_wait *wait)
{
	wait->tag.done = wake;
	atomic_init(&wait->done, 0);
}

void poller_wait(struct poller_wait *wait)
{
	while (!atomic_load(&wait->done))
		futex_wait(&wait->done, 0, NULL);
}
