/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process beside each VM. It outlives instance-svc: it holds the console and QEMU's
 * output, writes the logs, keeps the monitor connection, and leaves the exit file. When it
 * dies, the VM dies with it, so that no VM is ever without one.
 *
 * One thread, one poll loop; everything here is touched by that thread only.
 */

#ifndef INSTANCE_SVC_SUPERVISOR_SUPERVISOR_H
#define INSTANCE_SVC_SUPERVISOR_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"
#include "instance-svc/log_file.h"
#include "protocol.h"
#include "qmp.h"
#include "report.h"
#include "shape.h"

#define SUPERVISOR_CLIENTS_MAX 8
#define SUPERVISOR_VOLUMES_MAX 16

/* From the command line; borrowed from argv. */
struct supervisor_options {
	const char *directory; /* of the instance */
	const char *image;     /* the image's disk */
	uid_t uid;
	gid_t gid;
	char **jail;	/* bubblewrap and QEMU; ends with NULL */
	char **volumes; /* "ro:PATH" or "rw:PATH" of each; NULL: none */
	char **network; /* pasta and what follows; NULL: no network */
	bool gpu;	/* a real one: QEMU is not killed while the driver may be starting it */
	bool restore;	/* QEMU waits for the memory that was saved */
};

struct supervisor_client {
	int fd; /* -1: free */
	bool watching;
	bool wants_stats;
};

/* How far a stop has got; each step waits for the VM until `stop_deadline_ms`. */
enum stop_step {
	STOP_NONE,
	STOP_GUEST, /* init was told to stop, and the power button pressed */
	STOP_QUIT,  /* QEMU was told to quit */
	STOP_TERM,  /* SIGTERM */
	STOP_KILL,  /* SIGKILL: may leave a vGPU unusable, so it comes last */
};

/* How far the memory has got on its way to the disk, or from it. */
enum save_step {
	SAVE_NONE,
	SAVE_WRITING,	/* the guest stands still */
	SAVE_WRITTEN,	/* it is all there: QEMU is told to quit */
	SAVE_RESTORING, /* QEMU reads it */
};

struct supervisor {
	const struct supervisor_options *options;
	int directory; /* owned, as all descriptors here */
	int logs;
	int listener;
	int signals;
	int console, output, report_fd, qmp_fd, info;
	struct supervisor_client clients[SUPERVISOR_CLIENTS_MAX];
	struct log_writer app_log, vmm_log;
	struct shape_bucket console_rate, output_rate; /* of what is read into the two */

	pid_t jail;    /* bubblewrap; 0: ended */
	pid_t vmm;     /* QEMU; 0: not known */
	pid_t network; /* pasta; 0: none, or ended */

	enum vm_phase phase;
	int64_t started_ms;
	bool guest_started, shuts_down;
	struct qmp qmp;
	struct report_reader report_reader;
	bool has_report; /* of the end: exit or failed */
	struct report report;
	char last_output[200]; /* QEMU's last line, for the reason of its end */
	char info_text[512];   /* what bubblewrap told so far */
	size_t info_size;

	enum stop_step stop;
	bool host_down;		  /* why it is stopped */
	int64_t stop_deadline_ms; /* monotonic */
	int64_t born_ms;	  /* monotonic: when QEMU was started */

	enum save_step save;
	int memory;			   /* the file, while it is written */
	char refusal[CONTROL_REFUSAL_MAX]; /* for the next status */
	char failure[200];		   /* why the VM was ended by us; empty: it was not */
};

/* ---- start.c: descriptors and processes ---- */

void supervisor_init(struct supervisor *sv, const struct supervisor_options *options);
int supervisor_open(struct supervisor *sv, struct err *err);
int supervisor_start_vm(struct supervisor *sv, struct err *err);

/* ---- loop.c ---- */

/* Until the VM has ended. Returns its wait status. */
int supervisor_run(struct supervisor *sv);

void supervisor_note_running(struct supervisor *sv);

/* ---- stop.c ---- */

/* Begins, or shortens, an orderly stop. */
void supervisor_stop(struct supervisor *sv, uint32_t grace_ms, bool host_down);

/* Ends QEMU without asking the guest. */
void supervisor_quit(struct supervisor *sv);

/* Goes on to the next step when the time of this one is over. */
void supervisor_stop_tick(struct supervisor *sv);

/* Milliseconds until supervisor_stop_tick() has something to do; -1: no stop. */
int supervisor_stop_timeout(const struct supervisor *sv);

/* ---- save.c: standby ---- */

/* At the beginning: QEMU tells of migrations, and does not slow them down. */
void supervisor_save_prepare(struct supervisor *sv);

/* Stops the guest and writes its memory; then QEMU ends. `bytes` are reserved first. */
void supervisor_save(struct supervisor *sv, uint64_t bytes);

/* QEMU is ready to take the memory that was saved. */
void supervisor_restore(struct supervisor *sv);

/* What QEMU says about either: a state of a migration, or that it refuses a command. */
void supervisor_save_event(struct supervisor *sv, const char *status);
void supervisor_save_refused(struct supervisor *sv, const char *reason);

/* Nothing of an unfinished memory stays. */
void supervisor_save_abort(struct supervisor *sv);

/* ---- stats.c ---- */

/* Answers everyone who asked; the disk's counters are in sv->qmp. */
void supervisor_send_stats(struct supervisor *sv);

/* ---- control.c ---- */

void supervisor_accept(struct supervisor *sv);
void supervisor_serve_client(struct supervisor *sv, struct supervisor_client *client);
void supervisor_tell_watchers(struct supervisor *sv);

/* ---- exit.c ---- */

/* status: as of waitpid. */
void supervisor_describe_end(const struct supervisor *sv, int status, struct vm_exit *ret);

/* Beside, synced, renamed: whoever sees the file sees all of it. */
int supervisor_write_exit(int directory, const struct vm_exit *end);

#endif
