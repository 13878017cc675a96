/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root side of ops.h in threads of the test: a monitor that starts workers, and
 * workers that act on a fake_kernel. A test can make the next operations of a kind go
 * wrong in the ways real ones do.
 */

#ifndef TESTS_GPU_SERVE_FAKE_MONITOR_H
#define TESTS_GPU_SERVE_FAKE_MONITOR_H

#include <pthread.h>

#include "fake_kernel.h"

enum fake_fault {
	FAULT_NONE,
	FAULT_HANG_BEFORE, /* stuck in the kernel, which acts when fake_monitor_unstick() comes */
	FAULT_HANG_AFTER,  /* the kernel has acted or was read, the worker is stuck in it still */
	FAULT_DIE_BEFORE,  /* killed */
	FAULT_DIE_AFTER,
	FAULT_KERNEL,	  /* refused with EIO, nothing changed */
	FAULT_UNVERIFIED, /* done, but the worker cannot see it */
	FAULT_REFUSED,	  /* by policy */
	FAULT_IN_USE,	  /* a process has the node open */
	FAULT_LATE,	  /* in use, says the kernel, by nobody */
	FAULT_NO_WORKER,  /* the monitor starts none */
	FAULT_CUT_SHORT,  /* fewer records than the result says */
};

#define FAKE_FAULTS_MAX 16

struct fake_monitor {
	pthread_mutex_t lock; /* for all below */
	pthread_cond_t unstuck;
	struct fake_kernel kernel;
	struct {
		enum op_kind kind;
		enum fake_fault fault;
		int count;
	} faults[FAKE_FAULTS_MAX];
	int delay_ms;		      /* of every create */
	bool stuck;		      /* hanging workers wait until this is false */
	int hung_gpu;		      /* scans of it hang too; -1: none */
	uint32_t hung_class;	      /* what they say that it is; OPS_UNKNOWN_CLASS: nothing */
	struct pci_addr unstuck_slot; /* whose workers wait no more; all zero: none */
	uint64_t last_worker;	      /* ids count up, as the monitor's do */
	unsigned hanging;
	struct {
		uint64_t id;
		bool given_up;
	} hung[OPS_WORKERS_MAX];	    /* the workers that hang */
	unsigned runs[OP_FIND_HOLDERS + 1]; /* of each kind */
	uint32_t granted_gid;		    /* by the last grant */
	uint32_t refused_gid;		    /* grants to it are refused by policy */

	int fd; /* our end */
	pthread_t thread;
	unsigned workers; /* threads that run */
	pthread_cond_t worker_changed;
};

/* Starts it. Returns serve's end of the socket. */
int fake_monitor_start(struct fake_monitor *monitor, int gpu_count);

/* After serve's end has been closed. Lets stuck workers go first. */
void fake_monitor_stop(struct fake_monitor *monitor);

/* The next `count` operations of the kind. */
void fake_monitor_fail(struct fake_monitor *monitor, enum op_kind kind, enum fake_fault fault,
		       int count);
/* Until a worker is stuck in the kernel. */
void fake_monitor_wait_stuck(struct fake_monitor *monitor);
/* Scans that do not leave this GPU out hang at it, until fake_monitor_unstick(). */
void fake_monitor_hang_gpu(struct fake_monitor *monitor, int gpu);
void fake_monitor_unstick(struct fake_monitor *monitor);
/* Lets only those go that hang in a write to this slot; returns when they have gone on. */
void fake_monitor_unstick_slot(struct fake_monitor *monitor, struct pci_addr slot);
/* How many workers were given up and hang still. */
unsigned fake_monitor_stuck(struct fake_monitor *monitor);

/* How many operations of the kind have begun. */
unsigned fake_monitor_runs(struct fake_monitor *monitor, enum op_kind kind);

/* As the kernel is now, by value. */
struct fake_kernel fake_monitor_kernel(struct fake_monitor *monitor);

#endif
