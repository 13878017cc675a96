/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/scoped.h"
#include "jail.h"

void supervisor_init(struct supervisor *sv, const struct supervisor_options *options)
{
	memset(sv, 0, sizeof(*sv));
	sv->options = options;
	sv->directory = sv->logs = sv->listener = sv->signals = -1;
	sv->console = sv->output = sv->report_fd = sv->qmp_fd = sv->info = -1;
	sv->app_log.fd = sv->vmm_log.fd = sv->memory = -1;
	sv->qmp.read_bytes = sv->qmp.write_bytes = -1;
	sv->phase = VM_PHASE_STARTING;
	for (size_t i = 0; i < SUPERVISOR_CLIENTS_MAX; i++)
		sv->clients[i].fd = -1;
	qmp_init(&sv->qmp, -1);
}

static int open_logs(struct supervisor *sv, struct err *err)
{
	int r;

	sv->logs = openat(sv->directory, VM_LOG_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (sv->logs < 0)
		return err_sys(err, errno, "cannot open the log directory");
	r = log_writer_open(&sv->app_log, sv->logs, LOG_APP);
	if (r == 0)
		r = log_writer_open(&sv->vmm_log, sv->logs, LOG_VMM);
	return r < 0 ? err_sys(err, r, "cannot open the logs") : 0;
}

static int open_signals(struct supervisor *sv, struct err *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_sys(err, errno, "cannot block signals");
	sv->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return sv->signals < 0 ? err_sys(err, errno, "cannot wait for signals") : 0;
}

int supervisor_open(struct supervisor *sv, struct err *err)
{
	if (fcntl(SUPERVISOR_LOCK_FD, F_SETFD, FD_CLOEXEC) < 0 ||
	    fcntl(SUPERVISOR_CONTROL_FD, F_SETFD, FD_CLOEXEC) < 0 ||
	    fcntl(SUPERVISOR_CONTROL_FD, F_SETFL, O_NONBLOCK) < 0 ||
	    fcntl(SUPERVISOR_AGENT_FD, F_SETFD, FD_CLOEXEC) < 0)
		return err_sys(err, errno, "descriptors 3 to 5 must be the lock and two sockets");
	sv->listener = SUPERVISOR_CONTROL_FD;
	/* Makes this process the one that SO_PEERCRED names to whoever connects. */
	if (listen(sv->listener, SUPERVISOR_CLIENTS_MAX) < 0)
		return err_sys(err, errno, "cannot listen on descriptor 4");
	sv->directory = open(sv->options->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (sv->directory < 0)
		return err_sys(err, errno, "cannot open %s", sv->options->directory);
	if (open_signals(sv, err) < 0)
		return -1;
	return open_logs(sv, err);
}

/* What the two programs get: theirs[] is closed when both were started. */
struct ends {
	int image, overlay, config;
	int console, report, qmp, info, output;
	int network_vm, network_helper;
	int volumes[SUPERVISOR_VOLUMES_MAX]; /* the first `volume_count` */
	size_t volume_count;
};

static void ends_close(struct ends ends)
{
	const int fds[] = { ends.image,	     ends.overlay,	 ends.config, ends.console,
			    ends.report,     ends.qmp,		 ends.info,   ends.output,
			    ends.network_vm, ends.network_helper };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	for (size_t i = 0; i < ends.volume_count; i++)
		close(ends.volumes[i]);
}
SCOPED_DEFINE(struct ends, ends_close);

static int open_volumes(struct supervisor *sv, struct ends *ends, struct err *err)
{
	for (char **volume = sv->options->volumes; volume && *volume; volume++) {
		bool read_only = strncmp(*volume, "ro:", 3) == 0;
		int fd =
			open(*volume + 3, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOFOLLOW);

		if (fd < 0)
			return err_sys(err, errno, "cannot open the volume %s", *volume + 3);
		ends->volumes[ends->volume_count++] = fd;
	}
	return 0;
}

static int open_disks(struct supervisor *sv, struct ends *ends, struct err *err)
{
	ends->image = open(sv->options->image, O_RDONLY | O_CLOEXEC);
	if (ends->image < 0)
		return err_sys(err, errno, "cannot open the image's disk %s", sv->options->image);
	ends->overlay = openat(sv->directory, VM_OVERLAY_FILE, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (ends->overlay < 0)
		return err_sys(err, errno, "cannot open the overlay disk");
	ends->config = openat(sv->directory, VM_CONFIG_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (ends->config < 0)
		return err_sys(err, errno, "cannot open the config disk");
	return open_volumes(sv, ends, err);
}

/* Our end does not block; theirs does. */
static int make_pair(int *ours, int *theirs)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	*ours = ends[0];
	*theirs = ends[1];
	return fcntl(*ours, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static int make_pipe(int *ours, int *theirs)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	*ours = ends[0];
	*theirs = ends[1];
	return fcntl(*ours, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static int make_channels(struct supervisor *sv, struct ends *ends, struct err *err)
{
	int network[2];

	if (make_pair(&sv->console, &ends->console) < 0 ||
	    make_pair(&sv->report_fd, &ends->report) < 0 ||
	    make_pair(&sv->qmp_fd, &ends->qmp) < 0 || make_pipe(&sv->info, &ends->info) < 0 ||
	    make_pipe(&sv->output, &ends->output) < 0)
		return err_sys(err, errno, "cannot make the channels to the VM");
	if (!sv->options->network)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, network) < 0)
		return err_sys(err, errno, "cannot make the VM's network link");
	ends->network_vm = network[0];
	ends->network_helper = network[1];
	return 0;
}

static int start_network(struct supervisor *sv, const struct ends *ends, struct err *err)
{
	const struct jail_fd fds[] = { { ends->network_helper, VM_FD_NETWORK } };
	const struct jail_spec spec = {
		.argv = sv->options->network,
		.uid = sv->options->uid,
		.gid = sv->options->gid,
		.output = ends->output,
		.fds = fds,
		.fd_count = 1,
	};

	return sv->options->network ? jail_start(&spec, &sv->network, err) : 0;
}

static int start_jail(struct supervisor *sv, const struct ends *ends, struct err *err)
{
	struct jail_fd fds[JAIL_FDS_MAX] = {
		{ ends->image, VM_FD_IMAGE },	      { ends->overlay, VM_FD_OVERLAY },
		{ ends->config, VM_FD_CONFIG },	      { ends->qmp, VM_FD_QMP },
		{ ends->report, VM_FD_REPORT },	      { ends->console, VM_FD_CONSOLE },
		{ ends->network_vm, VM_FD_NETWORK },  { ends->info, VM_FD_INFO },
		{ SUPERVISOR_AGENT_FD, VM_FD_AGENT },
	};
	const size_t fixed = 9;
	const struct jail_spec spec = {
		.argv = sv->options->jail,
		.uid = sv->options->uid,
		.gid = sv->options->gid,
		.output = ends->output,
		.fds = fds,
		.fd_count = fixed + ends->volume_count,
	};

	for (size_t i = 0; i < ends->volume_count; i++)
		fds[fixed + i] = (struct jail_fd){ ends->volumes[i], VM_FD_VOLUME + (int)i };
	return jail_start(&spec, &sv->jail, err);
}

int supervisor_start_vm(struct supervisor *sv, struct err *err)
{
	scoped(ends_close) struct ends ends = { -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, { 0 }, 0 };

	if (open_disks(sv, &ends, err) < 0 || make_channels(sv, &ends, err) < 0)
		return -1;
	qmp_init(&sv->qmp, sv->qmp_fd);
	sv->born_ms = clock_monotonic_ms();
	shape_bucket_init(&sv->console_rate, SHAPE_LOG_BITS_PER_S, shape_now_ns());
	shape_bucket_init(&sv->output_rate, SHAPE_LOG_BITS_PER_S, shape_now_ns());
	if (start_network(sv, &ends, err) < 0)
		return -1;
	if (start_jail(sv, &ends, err) < 0)
		return -1;
	close(SUPERVISOR_AGENT_FD); /* when QEMU is gone, nobody shall be able to connect */
	return 0;
}
