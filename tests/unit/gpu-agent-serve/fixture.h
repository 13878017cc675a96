/* SPDX-License-Identifier: Apache-2.0 */
/* An agent with a database in a folder of its own, on a fake monitor. */

#ifndef TESTS_GPU_SERVE_FIXTURE_H
#define TESTS_GPU_SERVE_FIXTURE_H

#include "fake_monitor.h"
#include "gpu-agent/serve/allocator.h"

struct fixture {
	char folder[64];
	struct fake_monitor monitor;
	struct monitor_client *client;
	struct records *records;
	struct agent *agent;
	pthread_t scanner, recovery;
	bool threads;
};

/* A host of two GPUs. Nothing has been scanned, no thread of the agent runs. */
void fixture_init(struct fixture *fixture);
void fixture_done(struct fixture *fixture);

/* As cmocka wants them: the fixture, scanned once, as *state. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Scanner and recovery in the background, as in the program; returns after the first scan. */
void fixture_start_threads(struct fixture *fixture);

/* As after kill -9: the agent forgets all but the database; the kernel stays as it is. */
void fixture_restart(struct fixture *fixture);

/* One scan and what follows from it, without threads. */
void fixture_scan(struct fixture *fixture);

struct create_request fixture_request(unsigned number, const char *profile);
unsigned fixture_available(struct fixture *fixture, const char *profile);

/* The devices of the kernel and the records are the same set; returns its size. */
int fixture_check_no_leak(struct fixture *fixture);

#endif
