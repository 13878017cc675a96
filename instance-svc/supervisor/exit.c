/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/scoped.h"

static void describe_vmm(const struct supervisor *sv, int status, struct vm_exit *end)
{
	end->end = VM_END_VMM;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		snprintf(end->text, sizeof(end->text),
			 "the guest powered off without a word about its command");
	else if (WIFSIGNALED(status))
		snprintf(end->text, sizeof(end->text), "QEMU was killed by signal %d",
			 WTERMSIG(status));
	else if (WEXITSTATUS(status) > 128)
		snprintf(end->text, sizeof(end->text), "QEMU was killed by signal %d",
			 WEXITSTATUS(status) - 128);
	else
		snprintf(end->text, sizeof(end->text), "QEMU ended with status %d%s%s",
			 WEXITSTATUS(status), sv->last_output[0] ? ": " : "", sv->last_output);
}

void supervisor_describe_end(const struct supervisor *sv, int status, struct vm_exit *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->version = SUPERVISOR_PROTOCOL_VERSION;
	ret->guest_started = sv->guest_started;
	ret->started_ms = sv->started_ms;
	ret->ended_ms = clock_realtime_ms();
	ret->host_down = sv->host_down;
	if (sv->save == SAVE_WRITTEN) {
		ret->end = VM_END_STANDBY;
	} else if (sv->failure[0]) {
		ret->end = VM_END_VMM;
		snprintf(ret->text, sizeof(ret->text), "%s", sv->failure);
	} else if (sv->has_report && sv->report.kind == REPORT_EXIT) {
		ret->end = VM_END_EXIT;
		ret->exit_code = sv->report.exit_code;
		snprintf(ret->text, sizeof(ret->text), "%s", sv->report.text);
	} else if (sv->has_report) {
		ret->end = VM_END_FAILED;
		snprintf(ret->text, sizeof(ret->text), "%s", sv->report.text);
	} else if (sv->stop != STOP_NONE) {
		ret->end = VM_END_STOPPED;
	} else {
		describe_vmm(sv, status, ret);
	}
}

int supervisor_write_exit(int directory, const struct vm_exit *end)
{
	static const char temporary[] = VM_EXIT_FILE ".new";
	scoped_fd int fd = openat(directory, temporary,
				  O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return -errno;
	if (write(fd, end, sizeof(*end)) != (ssize_t)sizeof(*end) || fsync(fd) < 0)
		return errno ? -errno : -EIO;
	if (renameat(directory, temporary, directory, VM_EXIT_FILE) < 0 || fsync(directory) < 0)
		return -errno;
	return 0;
}
