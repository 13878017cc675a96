/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory that stands for a host: "sys", "dev" and "journal" beneath a fresh one.
 */

#ifndef TESTS_GPU_AGENT_MONITOR_FIXTURE_H
#define TESTS_GPU_AGENT_MONITOR_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gpu-agent/monitor/job.h"

#define FIXTURE_BOOT "11111111-2222-3333-4444-555555555555"

struct fixture {
	char root[64];
};

/* cmocka's setup and teardown: *state is the fixture. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Each takes a path beneath the root and makes the directories on the way. */
void fixture_write(struct fixture *fixture, const char *text, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void fixture_link(struct fixture *fixture, const char *target, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void fixture_mkdir(struct fixture *fixture, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The whole file, in a buffer that the next call overwrites; NULL: there is none. */
const char *fixture_read(struct fixture *fixture, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void fixture_remove(struct fixture *fixture, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * A PCI function as sysfs shows it: a directory in sys/devices and a link to it in
 * sys/bus/pci/devices. physfn: NULL for a physical function.
 */
void fixture_add_function(struct fixture *fixture, const char *address, const char *vendor,
			  const char *device, const char *class_code, const char *physfn);
/* description or name NULL: no such file. */
void fixture_add_type(struct fixture *fixture, const char *address, const char *type,
		      const char *name, const char *description, const char *available);
void fixture_add_mdev(struct fixture *fixture, const char *address, const char *type,
		      const char *uuid, const char *group);

/* A job on this host; fixture_job_done() closes it. Its socket is -1. */
void fixture_job(struct fixture *fixture, const struct policy *policy, struct job *ret);
void fixture_job_done(struct job *job);

/* Runs an operation in a child, as a worker is one, and collects what it sends. */
struct fixture_answer {
	struct op_record records[256];
	size_t count;
	struct op_result result;
};
void fixture_run(struct fixture *fixture, const struct policy *policy,
		 const struct op_request *request, void (*run)(struct job *),
		 struct fixture_answer *ret);

#endif
