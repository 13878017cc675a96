/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between instance-svc and the supervisor of one VM. A supervisor outlives instance-svc:
 * a later version of one must understand the other, so every struct carries its version,
 * and one of another version or size is refused.
 *
 * The supervisor is started with
 *   descriptor 3  the instance's lock file, locked: whoever can lock it knows that no
 *                 supervisor is left
 *   descriptor 4  the control socket, listening (SOCK_SEQPACKET)
 *   descriptor 5  the socket of the guest's agent, listening: QEMU takes it over and connects
 *                 whoever comes to the port GUEST_AGENT_PORT, one at a time
 *
 * On the control socket a client sends control_request and gets a control_status at once
 * and, once it has sent CONTROL_WATCH, at every change. End of file: the supervisor is
 * gone, and its last word is the exit file.
 */

#ifndef INSTANCE_SVC_SUPERVISOR_PROTOCOL_H
#define INSTANCE_SVC_SUPERVISOR_PROTOCOL_H

#include <stdint.h>

#define SUPERVISOR_PROTOCOL_VERSION 2

#define SUPERVISOR_LOCK_FD    3
#define SUPERVISOR_CONTROL_FD 4
#define SUPERVISOR_AGENT_FD   5

/* On the supervisor's command line. */
#define SUPERVISOR_FLAG_GPU	"gpu"
#define SUPERVISOR_FLAG_RESTORE "restore"

/* Where QEMU finds what the supervisor opened for it. */
enum vm_fd {
	VM_FD_IMAGE = 10,
	VM_FD_OVERLAY = 11,
	VM_FD_CONFIG = 12,
	VM_FD_QMP = 13,
	VM_FD_REPORT = 14,
	VM_FD_CONSOLE = 15,
	VM_FD_NETWORK = 16,
	VM_FD_INFO = 17, /* bubblewrap tells the VM's pid here */
	VM_FD_AGENT = 18,
	VM_FD_VOLUME = 32, /* the first; the next have the next numbers */
};

/* In the instance's directory. */
#define VM_OVERLAY_FILE	 "overlay.img"
#define VM_CONFIG_FILE	 "config.img"
#define VM_LOCK_FILE	 "lock"
#define VM_EXIT_FILE	 "exit"
#define VM_MEMORY_FILE	 "memory.img" /* there while the guest is saved, and not past it */
#define VM_LOG_DIRECTORY "logs"

enum control_kind {
	CONTROL_WATCH = 1,
	CONTROL_STOP = 2,    /* grace_ms: for the guest, before QEMU is told to quit */
	CONTROL_STANDBY = 3, /* bytes: to reserve for the memory before it is saved */
	CONTROL_STATS = 4,   /* answered with one control_stats, and nothing else */
};

struct control_request {
	uint32_t version;
	uint32_t kind;
	uint32_t grace_ms;
	uint32_t host_down; /* CONTROL_STOP: because the host shuts down */
	uint64_t bytes;
};

enum vm_phase {
	VM_PHASE_STARTING = 1,
	VM_PHASE_RUNNING = 2,  /* QEMU answers */
	VM_PHASE_STOPPING = 3, /* asked to */
	VM_PHASE_SAVING = 4,   /* does not run, and its memory goes to the disk */
};

#define CONTROL_REFUSAL_MAX 240

struct control_status {
	uint32_t version;
	uint32_t phase;
	int32_t supervisor_pid;
	uint32_t guest_started; /* the guest says that the image's command runs */
	int64_t started_ms;	/* when QEMU answered, since the epoch; 0: not yet */
	/* Why the standby that was asked for last did not come about; said once. */
	char refusal[CONTROL_REFUSAL_MAX];
};

/* What is negative is not known. */
struct control_stats {
	uint32_t version;
	uint32_t size; /* of this struct: tells it from a control_status */
	int64_t cpu_ms;
	int64_t rss_bytes;
	int64_t vms_bytes;
	int64_t disk_read_bytes; /* of the overlay */
	int64_t disk_write_bytes;
	int64_t network_rx_bytes; /* received by the guest */
	int64_t network_tx_bytes;
};

enum vm_end {
	VM_END_EXIT = 1,    /* the image's command ended: exit_code, text */
	VM_END_FAILED = 2,  /* the guest could not be set up: text */
	VM_END_STOPPED = 3, /* on request */
	VM_END_VMM = 4,	    /* QEMU ended, or never started: text */
	VM_END_STANDBY = 5, /* its memory is saved */
};

#define VM_EXIT_TEXT_MAX 480

/* The exit file, written beside, synced and renamed. */
struct vm_exit {
	uint32_t version;
	uint32_t end;
	int32_t exit_code; /* VM_END_EXIT: 0-255 */
	uint32_t guest_started;
	uint32_t host_down; /* it was stopped because the host shut down */
	int64_t started_ms;
	int64_t ended_ms;
	char text[VM_EXIT_TEXT_MAX]; /* NUL-terminated; from the guest: any bytes */
};

#endif
