/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Standby: QEMU's migration, into a file and out of it.
 *
 * The file has its name exactly as long as the guest has not gone on from it: it gets the
 * name when all of it is on the disk, and loses it before the guest runs again. So whenever
 * everything is killed, either the guest ran until then or the file is good.
 */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/scoped.h"

#define UNFINISHED VM_MEMORY_FILE ".new"

/* QEMU slows a migration down for the sake of a network that there is not. */
#define NO_LIMIT "{\"max-bandwidth\":1099511627776}"
#define EVENTS	 "{\"capabilities\":[{\"capability\":\"events\",\"state\":true}]}"
#define NAME	 "{\"fdname\":\"memory\"}"
#define CHANNEL	 "{\"uri\":\"fd:memory\"}"

static void close_memory(struct supervisor *sv)
{
	if (sv->memory >= 0)
		close(sv->memory);
	sv->memory = -1;
}

void supervisor_save_abort(struct supervisor *sv)
{
	if (sv->save == SAVE_WRITING) {
		(void)unlinkat(sv->directory, UNFINISHED, 0);
		sv->save = SAVE_NONE;
	}
	close_memory(sv);
}

void supervisor_save_prepare(struct supervisor *sv)
{
	(void)qmp_execute_with(&sv->qmp, "migrate-set-capabilities", EVENTS, -1);
	(void)qmp_execute_with(&sv->qmp, "migrate-set-parameters", NO_LIMIT, -1);
}

static void refuse(struct supervisor *sv, const char *reason)
{
	log_event(sv->logs, "cannot save the memory: %s", reason);
	snprintf(sv->refusal, sizeof(sv->refusal), "%s", reason);
	supervisor_tell_watchers(sv);
	sv->refusal[0] = '\0';
}

/*
 * The guest goes on as if nobody had asked. No migration is under way any more: it failed, it
 * is over, or one of the commands that lead to it was refused, and so was it.
 */
static void give_up(struct supervisor *sv, const char *reason)
{
	supervisor_save_abort(sv);
	(void)qmp_execute(&sv->qmp, "cont");
	sv->phase = VM_PHASE_RUNNING;
	refuse(sv, reason);
}

/* All of the room is taken now: a disk that fills up meanwhile stops nothing. */
static int open_memory(struct supervisor *sv, uint64_t bytes)
{
	scoped_fd int fd = openat(sv->directory, UNFINISHED,
				  O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return -errno;
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes) < 0 && errno != EOPNOTSUPP) {
		int error = errno;

		(void)unlinkat(sv->directory, UNFINISHED, 0);
		return -error;
	}
	sv->memory = TAKE_FD(fd);
	return 0;
}

void supervisor_save(struct supervisor *sv, uint64_t bytes)
{
	int r;

	if (sv->save == SAVE_WRITING || sv->save == SAVE_WRITTEN)
		return; /* somebody who was here before has asked already */
	if (sv->phase != VM_PHASE_RUNNING || sv->save != SAVE_NONE) {
		refuse(sv, "the VM does not run");
		return;
	}
	r = open_memory(sv, bytes);
	if (r < 0) {
		refuse(sv, r == -ENOSPC ? "the disk has no room for the memory" : strerror(-r));
		return;
	}
	log_event(sv->logs, "saving the memory");
	sv->save = SAVE_WRITING;
	sv->phase = VM_PHASE_SAVING;
	if (qmp_execute(&sv->qmp, "stop") < 0 ||
	    qmp_execute_with(&sv->qmp, "getfd", NAME, sv->memory) < 0 ||
	    qmp_execute_with(&sv->qmp, "migrate", CHANNEL, -1) < 0)
		give_up(sv, "QEMU does not answer");
	else
		supervisor_tell_watchers(sv);
}

/* What was reserved beyond the end of the file is given back. */
static int settle_memory(struct supervisor *sv)
{
	struct stat st;

	if (fstat(sv->memory, &st) < 0 || ftruncate(sv->memory, st.st_size) < 0 ||
	    fsync(sv->memory) < 0 ||
	    renameat(sv->directory, UNFINISHED, sv->directory, VM_MEMORY_FILE) < 0 ||
	    fsync(sv->directory) < 0)
		return -errno;
	return 0;
}

static void finish_saving(struct supervisor *sv)
{
	int r = settle_memory(sv);

	if (r < 0) {
		give_up(sv, strerror(-r));
		return;
	}
	log_event(sv->logs, "the memory is saved");
	close_memory(sv);
	sv->save = SAVE_WRITTEN;
	supervisor_quit(sv);
}

/* ---- And back ---- */

/* What was saved stays for another try. */
static void fail_restoring(struct supervisor *sv, const char *reason)
{
	snprintf(sv->failure, sizeof(sv->failure), "cannot take the saved memory: %s", reason);
	supervisor_quit(sv);
}

void supervisor_restore(struct supervisor *sv)
{
	scoped_fd int fd = openat(sv->directory, VM_MEMORY_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	sv->save = SAVE_RESTORING;
	if (fd < 0)
		fail_restoring(sv, strerror(errno));
	else if (qmp_execute_with(&sv->qmp, "getfd", NAME, fd) < 0 ||
		 qmp_execute_with(&sv->qmp, "migrate-incoming", CHANNEL, -1) < 0)
		fail_restoring(sv, "QEMU does not answer");
}

static void finish_restoring(struct supervisor *sv)
{
	if (unlinkat(sv->directory, VM_MEMORY_FILE, 0) < 0 || fsync(sv->directory) < 0) {
		fail_restoring(sv, strerror(errno));
		return;
	}
	sv->save = SAVE_NONE;
	if (qmp_execute(&sv->qmp, "cont") < 0) {
		fail_restoring(sv, "QEMU does not answer");
		return;
	}
	sv->guest_started = true;
	supervisor_note_running(sv);
}

void supervisor_save_event(struct supervisor *sv, const char *status)
{
	if (strcmp(status, "completed") == 0) {
		if (sv->save == SAVE_WRITING)
			finish_saving(sv);
		else if (sv->save == SAVE_RESTORING)
			finish_restoring(sv);
	} else if (strcmp(status, "failed") == 0) {
		supervisor_save_refused(sv, "QEMU's migration failed");
	}
}

void supervisor_save_refused(struct supervisor *sv, const char *reason)
{
	if (sv->save == SAVE_WRITING)
		give_up(sv, reason);
	else if (sv->save == SAVE_RESTORING)
		fail_restoring(sv, reason);
}
