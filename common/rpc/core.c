/* SPDX-License-Identifier: Apache-2.0 */
#include "core.h"

#include <stdlib.h>

#include "common/log.h"

#define STACK_BYTES (512 * 1024)

#ifdef __SANITIZE_THREAD__
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#endif

void core_tag_give(struct core_tag *tag)
{
	(void)tag;
#ifdef __SANITIZE_THREAD__
	__tsan_release(tag);
#endif
}

void core_tag_take(struct core_tag *tag)
{
	(void)tag;
#ifdef __SANITIZE_THREAD__
	__tsan_acquire(tag);
#endif
}

void core_queue_run(grpc_completion_queue *queue)
{
	const gpr_timespec never = gpr_inf_future(GPR_CLOCK_REALTIME);
	grpc_event event;

	for (;;) {
		event = grpc_completion_queue_next(queue, never, NULL);
		if (event.type == GRPC_QUEUE_SHUTDOWN)
			return;
		core_tag_take(event.tag);
		((struct core_tag *)event.tag)->done(event.tag, event.success != 0);
	}
}

void core_start(grpc_call *call, const grpc_op *ops, size_t count, struct core_tag *tag)
{
	grpc_call_error error;

	core_tag_give(tag);
	error = grpc_call_start_batch(call, ops, count, tag, NULL);
	if (error != GRPC_CALL_OK) {
		log_error("gRPC refused an operation: %s", grpc_call_error_to_string(error));
		abort();
	}
}

grpc_arg core_arg(const char *key, int value)
{
	return (grpc_arg){
		.type = GRPC_ARG_INTEGER,
		.key = (char *)(uintptr_t)key, /* copied by the core */
		.value.integer = value,
	};
}

int core_thread_start(pthread_t *ret, void *(*run)(void *), void *arg)
{
	pthread_attr_t attr;
	int r;

	r = pthread_attr_init(&attr);
	if (r)
		return -r;
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	r = pthread_create(ret, &attr, run, arg);
	pthread_attr_destroy(&attr);
	return -r;
}

void core_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

struct timespec core_time_after(int64_t ms)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	time.tv_sec += ms / 1000;
	time.tv_nsec += ms % 1000 * 1000000;
	if (time.tv_nsec >= 1000000000) {
		time.tv_sec++;
		time.tv_nsec -= 1000000000;
	}
	return time;
}
