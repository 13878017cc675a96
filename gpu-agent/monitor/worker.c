/* SPDX-License-Identifier: Apache-2.0 */
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "job.h"
#include "privilege.h"
#include "request.h"
#include "settle.h"

/* Other users' /proc/PID/fd and maps. */
#define SEE_PROCESSES (PRIVILEGE(CAP_SYS_PTRACE) | PRIVILEGE(CAP_DAC_READ_SEARCH))
/* A node becomes root's again, and who has it open is named. */
#define TAKE_BACK (PRIVILEGE(CAP_CHOWN) | SEE_PROCESSES)

/* Everything that serve can have done. What is not here does not exist. */
static const struct operation {
	void (*run)(struct job *job);
	uint64_t capabilities;
} operations[] = {
	/*
	 * Root owns sysfs's files, so reading and writing them takes no capability, nor does
	 * what runs inside our writes. Linux asks for CAP_SYS_ADMIN in files that we leave
	 * alone: a function's enable, numa_node, msi_bus, and config beyond 64 bytes
	 * (drivers/pci/pci-sysfs.c). NVIDIA's driver asks (os_is_administrator()) who makes an
	 * ioctl on /dev/nvidia* (escape.c); a vGPU made through sysfs goes to
	 * kvgpumgrCreateRequestVgpu() (kernel_vgpu_mgr.c), which asks nobody.
	 */
	[OP_SCAN] = { scan_run, PRIVILEGE_NONE },
	[OP_CREATE_MDEV] = { create_run, PRIVILEGE_NONE },
	[OP_REMOVE_MDEV] = { remove_run, TAKE_BACK },
	[OP_GRANT_NODE] = { access_grant_run, PRIVILEGE(CAP_CHOWN) },
	[OP_REVOKE_NODE] = { access_revoke_run, PRIVILEGE(CAP_CHOWN) },
	[OP_FIND_HOLDERS] = { access_holders_run, SEE_PROCESSES },
	[OP_SET_VENDOR_TYPE] = { vendor_set_run, PRIVILEGE_NONE },
	[OP_CLEAR_VENDOR_TYPE] = { vendor_clear_run, TAKE_BACK },
	[OP_BIND_VFIO] = { bind_run, TAKE_BACK },
	[OP_RESTORE_DRIVER] = { restore_run, TAKE_BACK },
	[OP_RESET] = { reset_run, TAKE_BACK },
	[OP_FIND_GPU_HOLDERS] = { gpu_holders_run, SEE_PROCESSES },
	[OP_CHECK_HOST] = { check_run, SEE_PROCESSES },
};

/*
 * Without the monitor nobody would count this process, so it must not outlive it. Stopping
 * the agent politely does not interrupt a write that the kernel is at.
 */
static void bind_to(pid_t monitor)
{
	sigset_t none;

	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != monitor)
		_exit(1);
}

/* Roots and journal are opened while root can still pass every directory on the way. */
static int open_all(const struct settings *settings, struct job *job, struct err *err)
{
	char boot[37];

	if (journal_read_boot(boot, err) < 0 ||
	    journal_open(settings->journal_dir, boot, &job->journal, err) < 0 ||
	    host_open(settings->sysfs_root, settings->dev_root, &job->host, err) < 0)
		return -1;
	return 0;
}

/* false: serve is gone, and with it the work. */
static bool run(const struct settings *settings, struct job *job)
{
	const struct operation *operation;
	const char *complaint;
	struct err err;
	ssize_t size = recv(job->socket, &job->request, sizeof(job->request), MSG_TRUNC);

	if (size <= 0)
		return false;
	complaint = request_check(&job->request, (size_t)size);
	if (complaint) {
		job_end(job, OP_INVALID, 0, "%s", complaint);
		return true;
	}
	operation = &operations[job->request.kind];
	if (open_all(settings, job, &err) < 0 || privilege_keep(operation->capabilities, &err) < 0)
		job_end(job, OP_FAILED, 0, "%s", err.message);
	else
		operation->run(job);
	return true;
}

void worker_serve(const struct settings *settings, pid_t monitor, int socket)
{
	struct job job = { .policy = &settings->policy,
			   .host = HOST_CLOSED,
			   .journal = JOURNAL_CLOSED };

	bind_to(monitor);
	/* What the monitor holds is not ours: stdio and the socket are all that stays. */
	if (dup2(socket, OPS_SERVE_FD) < 0 || fcntl(OPS_SERVE_FD, F_SETFD, FD_CLOEXEC) < 0 ||
	    close_range(OPS_SERVE_FD + 1, ~0U, 0) < 0)
		_exit(1);
	job.socket = OPS_SERVE_FD;
	if (run(settings, &job))
		job_answer(&job);
	_exit(0);
}

static int tidy(const struct settings *settings, bool compact, struct err *err)
{
	struct job job = { .host = HOST_CLOSED, .journal = JOURNAL_CLOSED };

	if (open_all(settings, &job, err) < 0 || privilege_keep(PRIVILEGE_NONE, err) < 0 ||
	    settle_run(&job.host, &job.journal, err) < 0)
		return -1;
	return compact ? journal_compact(&job.journal, err) : 0;
}

static void __attribute__((noreturn))
tidy_and_end(const struct settings *settings, pid_t monitor, bool compact)
{
	struct err err;

	bind_to(monitor);
	if (close_range(OPS_SERVE_FD, ~0U, 0) < 0)
		_exit(1);
	if (tidy(settings, compact, &err) < 0) {
		log_error("%s", err.message);
		_exit(1);
	}
	_exit(0);
}

void worker_settle(const struct settings *settings, pid_t monitor)
{
	tidy_and_end(settings, monitor, false);
}

void worker_prepare(const struct settings *settings, pid_t monitor)
{
	tidy_and_end(settings, monitor, true);
}
