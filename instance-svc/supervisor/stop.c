/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor.h"

#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

#include "common/clock.h"

#define QUIT_MS 5000

/*
 * A driver may take 25 s to start a vGPU for QEMU, and one that is killed meanwhile can stay
 * unusable.
 */
#define GPU_START_MS 30000
#define TERM_MS	     5000
#define KILL_MS	     2000 /* a process in the kernel's hands cannot even be killed: ask again */

static void wait_for(struct supervisor *sv, enum stop_step step, int64_t ms)
{
	sv->stop = step;
	sv->stop_deadline_ms = clock_monotonic_ms() + ms;
}

/* The command gets three quarters of the grace: the guest has to unmount its disks after it. */
static void ask_guest(struct supervisor *sv, uint32_t grace_ms)
{
	char line[32];
	uint32_t share = grace_ms / 4 * 3;
	int length = snprintf(line, sizeof(line), "stop %u\n",
			      share < GUEST_STOP_MS_MAX ? share : GUEST_STOP_MS_MAX);

	log_event(sv->logs, "asking the guest to stop, for %u ms", grace_ms);
	if (sv->report_fd >= 0)
		(void)send(sv->report_fd, line, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)qmp_execute(&sv->qmp, "system_powerdown");
	wait_for(sv, STOP_GUEST, grace_ms);
}

static void send_signal(struct supervisor *sv, int signal)
{
	/* bubblewrap passes no signal on, but takes QEMU with it when it is killed. */
	pid_t pid = signal == SIGTERM && sv->vmm > 0 ? sv->vmm : sv->jail;

	if (pid > 0)
		(void)kill(pid, signal);
}

static int64_t gpu_start_left_ms(const struct supervisor *sv)
{
	return sv->options->gpu ? sv->born_ms + GPU_START_MS - clock_monotonic_ms() : 0;
}

static void next_step(struct supervisor *sv)
{
	switch (sv->stop) {
	case STOP_NONE:
		break;
	case STOP_GUEST:
		log_event(sv->logs, "telling QEMU to quit");
		if (qmp_execute(&sv->qmp, "quit") == 0) {
			wait_for(sv, STOP_QUIT, QUIT_MS);
			break;
		}
		/* fall through */
	case STOP_QUIT:
		log_event(sv->logs, "sending SIGTERM to QEMU");
		send_signal(sv, SIGTERM);
		wait_for(sv, STOP_TERM, TERM_MS);
		break;
	case STOP_TERM:
		if (gpu_start_left_ms(sv) > 0) {
			wait_for(sv, STOP_TERM, gpu_start_left_ms(sv));
			break;
		}
		log_event(sv->logs, "sending SIGKILL to QEMU");
		/* fall through */
	case STOP_KILL:
		send_signal(sv, SIGKILL);
		wait_for(sv, STOP_KILL, KILL_MS);
		break;
	}
}

void supervisor_quit(struct supervisor *sv)
{
	wait_for(sv, STOP_GUEST, 0);
	next_step(sv);
}

void supervisor_stop(struct supervisor *sv, uint32_t grace_ms, bool host_down)
{
	if (sv->stop == STOP_NONE) {
		sv->phase = VM_PHASE_STOPPING;
		sv->host_down = host_down;
		if (sv->save == SAVE_NONE) {
			ask_guest(sv, grace_ms);
		} else { /* a guest that stands still hears nothing */
			supervisor_save_abort(sv);
			supervisor_quit(sv);
		}
		supervisor_tell_watchers(sv);
	} else if (sv->stop == STOP_GUEST &&
		   clock_monotonic_ms() + grace_ms < sv->stop_deadline_ms) {
		ask_guest(sv, grace_ms);
	}
}

void supervisor_stop_tick(struct supervisor *sv)
{
	if (sv->stop != STOP_NONE && clock_monotonic_ms() >= sv->stop_deadline_ms)
		next_step(sv);
}

int supervisor_stop_timeout(const struct supervisor *sv)
{
	int64_t left;

	if (sv->stop == STOP_NONE)
		return -1;
	left = sv->stop_deadline_ms - clock_monotonic_ms();
	return left < 0 ? 0 : (int)(left < 60000 ? left : 60000);
}
