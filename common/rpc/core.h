/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few things that server and client both need from gRPC's C core.
 *
 * Every operation given to the core carries a struct core_tag; the thread that reads
 * the completion queue calls its done(). Once core_start() was called, another thread
 * may have run done() already: touch nothing that done() may free, unless you hold a
 * reference.
 */

#ifndef COMMON_RPC_CORE_H
#define COMMON_RPC_CORE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <grpc/support/log.h>
#include <grpc/support/time.h>

/* Trailers hold the status details; clients accept 8 KiB of them by default, we more. */
#define CORE_METADATA_BYTES_MAX 16384

struct core_tag {
	void (*done)(struct core_tag *tag, bool ok);
};

#define CORE_CONTAINER(tag, type, member) ((type *)(void *)((char *)(tag)-offsetof(type, member)))

/*
 * libgrpc is not instrumented for ThreadSanitizer: these tell it that what was written
 * before a tag was given away is seen by the thread that gets it back.
 */
void core_tag_give(struct core_tag *tag);
void core_tag_take(struct core_tag *tag);

/* Runs done() of each completion until the queue is shut down and empty. */
void core_queue_run(grpc_completion_queue *queue);

/* Starts operations on a call. What can fail here is a mistake of ours: aborts. */
void core_start(grpc_call *call, const grpc_op *ops, size_t count, struct core_tag *tag);

grpc_arg core_arg(const char *key, int value);

/* A joinable thread with a stack of 512 KiB. 0 or -errno. */
int core_thread_start(pthread_t *ret, void *(*run)(void *), void *arg);

/* Condition variables here wait on CLOCK_MONOTONIC. */
void core_cond_init(pthread_cond_t *cond);
struct timespec core_time_after(int64_t ms);

#endif
