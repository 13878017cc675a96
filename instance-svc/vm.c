/* SPDX-License-Identifier: Apache-2.0 */
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/scoped.h"
#include "log_file.h"
#include "strv.h"
#include "supervisor/guard.h"
#include "utf8.h"
#include "vm_command.h"

static int open_lock(int directory)
{
	int fd = openat(directory, VM_LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? -errno : fd;
}

/* Locked, for the supervisor to inherit. */
static int take_lock(int directory, int *ret, struct err *err)
{
	scoped_fd int fd = open_lock(directory);

	if (fd < 0)
		return err_sys(err, fd, "cannot open the lock file");
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return err_sys(err, errno, "another supervisor has this VM");
	*ret = TAKE_FD(fd);
	return 0;
}

bool vm_is_present(const struct host *host, const struct id *id)
{
	scoped_fd int directory = layout_open_instance(&host->layout, id);
	scoped_fd int lock = -1;

	if (directory < 0)
		return false;
	lock = open_lock(directory);
	return lock >= 0 && flock(lock, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

static struct sockaddr_un socket_address(struct layout_path path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path.s);
	return address;
}

static int socket_listen(struct layout_path path, int type, int *ret, struct err *err)
{
	const struct sockaddr_un address = socket_address(path);
	scoped_fd int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	if (fd < 0 || (unlink(address.sun_path) < 0 && errno != ENOENT) ||
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 8) < 0)
		return err_sys(err, errno, "cannot make the socket %s", address.sun_path);
	*ret = TAKE_FD(fd);
	return 0;
}

static int build_plan(const struct host *host, const struct record *record, const struct spec *spec,
		      struct vm_plan *plan, char *addresses, size_t size, struct err *err)
{
	*plan = (struct vm_plan){
		.name = spec->name,
		.id = record->id.s,
		.uuid = record->uuid.s,
		.vcpus = spec->vcpus,
		.memory_bytes = spec->memory_bytes,
		.kvm = host->kvm,
		.kernel = host->kernel,
		.initramfs = host->initramfs,
		.network = spec->network,
		.host_addresses = addresses,
		.lease = record->lease.id.s[0] ? &record->lease : NULL,
		.supervisor = host->supervisor,
	};
	return spec->network ? guard_list_host(addresses, size, err) : 0;
}

/* "network N ARG... jail N ARG..." behind the fixed arguments. */
static int build_command(const struct host *host, const struct record *record,
			 const struct vm_plan *plan, const char *image_disk, char ***ret,
			 struct err *err)
{
	scoped(strv_free) char **jail = NULL;
	scoped(strv_free) char **network = NULL;
	scoped(strv_free) char **argv = NULL;

	if (vm_command_jail(plan, &jail, err) < 0 || vm_command_network(plan, &network, err) < 0)
		return -1;
	if (strv_append(&argv, host->supervisor) < 0 ||
	    strv_append(&argv, layout_instance(&host->layout, &record->id).s) < 0 ||
	    strv_append(&argv, image_disk) < 0 ||
	    strv_appendf(&argv, "%u", host_uid(host, record->slot)) < 0 ||
	    strv_appendf(&argv, "%u", host_gid(host, record->slot)) < 0 ||
	    strv_append(&argv, "network") < 0 ||
	    strv_appendf(&argv, "%zu", strv_length(network)) < 0 ||
	    strv_extend(&argv, network) < 0 || strv_append(&argv, "jail") < 0 ||
	    strv_appendf(&argv, "%zu", strv_length(jail)) < 0 || strv_extend(&argv, jail) < 0)
		return err_sys(err, ENOMEM, "cannot write the command line of the VM");
	*ret = TAKE_PTR(argv);
	return 0;
}

/* What the supervisor itself complains about belongs to the VM's log, also after our end. */
static int open_output(int directory)
{
	scoped_fd int logs = openat(directory, VM_LOG_DIRECTORY,
				    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return logs < 0 ? -1
			: openat(logs, log_name(LOG_VMM, 0).s,
				 O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

int vm_launch(const struct host *host, const struct record *record, const struct spec *spec,
	      const char *image_disk, struct process *ret, struct err *err)
{
	scoped_fd int directory = layout_open_instance(&host->layout, &record->id);
	scoped_fd int lock = -1;
	scoped_fd int control = -1;
	scoped_fd int agent = -1;
	scoped_fd int output = -1;
	scoped(strv_free) char **argv = NULL;
	char addresses[8192];
	struct vm_plan plan;

	if (directory < 0)
		return err_sys(err, directory, "cannot open the instance's directory");
	if (build_plan(host, record, spec, &plan, addresses, sizeof(addresses), err) < 0 ||
	    build_command(host, record, &plan, image_disk, &argv, err) < 0 ||
	    take_lock(directory, &lock, err) < 0 ||
	    socket_listen(layout_control(&host->layout, &record->id), SOCK_SEQPACKET, &control,
			  err) < 0 ||
	    socket_listen(layout_agent(&host->layout, &record->id), SOCK_STREAM, &agent, err) < 0)
		return -1;
	if (unlinkat(directory, VM_EXIT_FILE, 0) < 0 && errno != ENOENT)
		return err_sys(err, errno, "cannot remove an old exit file");
	output = open_output(directory);

	const int fds[] = { lock, control, agent }; /* become 3, 4 and 5 */
	const struct process_spec process = {
		.argv = (const char *const *)argv,
		.out = output < 0 ? 0 : output,
		.err = output < 0 ? 0 : output,
		.fds = fds,
		.fd_count = sizeof(fds) / sizeof(fds[0]),
		.new_session = true,
	};
	return process_start(&process, ret, err);
}

int vm_connect(const struct host *host, const struct id *id)
{
	const struct control_request watch = {
		.version = SUPERVISOR_PROTOCOL_VERSION,
		.kind = CONTROL_WATCH,
	};
	const struct sockaddr_un address = socket_address(layout_control(&host->layout, id));
	scoped_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	if (send(fd, &watch, sizeof(watch), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int vm_connect_agent(const struct host *host, const struct id *id)
{
	const struct sockaddr_un address = socket_address(layout_agent(&host->layout, id));
	scoped_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int vm_read_status(int fd, struct control_status *ret)
{
	struct control_status status;
	ssize_t n = recv(fd, &status, sizeof(status), MSG_TRUNC);

	if (n == 0)
		return 0;
	if (n < 0)
		return -errno;
	if (n != (ssize_t)sizeof(status) || status.version != SUPERVISOR_PROTOCOL_VERSION ||
	    status.phase < VM_PHASE_STARTING || status.phase > VM_PHASE_STOPPING)
		return -EPROTO;
	*ret = status;
	return 1;
}

int vm_ask_to_stop(int fd, uint32_t grace_ms)
{
	const struct control_request request = {
		.version = SUPERVISOR_PROTOCOL_VERSION,
		.kind = CONTROL_STOP,
		.grace_ms = grace_ms,
	};

	return send(fd, &request, sizeof(request), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

int vm_read_exit(const struct host *host, const struct id *id, struct vm_exit *ret)
{
	scoped_fd int directory = layout_open_instance(&host->layout, id);
	scoped_fd int fd = -1;
	struct vm_exit end;
	ssize_t n;

	if (directory < 0)
		return directory;
	fd = openat(directory, VM_EXIT_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	n = read(fd, &end, sizeof(end));
	if (n != (ssize_t)sizeof(end) || end.version != SUPERVISOR_PROTOCOL_VERSION ||
	    end.end < VM_END_EXIT || end.end > VM_END_VMM || end.exit_code < 0 ||
	    end.exit_code > 255 || !memchr(end.text, '\0', sizeof(end.text)))
		return -EPROTO;
	*ret = end;
	utf8_copy(ret->text, sizeof(ret->text), end.text);
	return 0;
}
