/* SPDX-License-Identifier: Apache-2.0 */
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"
#include "common/scoped.h"
#include "log_file.h"
#include "strv.h"
#include "supervisor/guard.h"
#include "utf8.h"
#include "vm_command.h"

#define SWEEP_MS 10000
#define STATS_MS 2000 /* a QEMU that lives answers at once */

/* What a plan borrows. */
struct plan_parts {
	const struct gpu_lease *leases[RECORD_HOLDS_MAX];
	size_t real_leases;
	struct kernel_paths kernel;
	char addresses[8192];
};

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

/* Borrowed from the record. */
static size_t find_leases(const struct record *record,
			  const struct gpu_lease *ret[RECORD_HOLDS_MAX])
{
	size_t count = 0;

	for (uint32_t i = 0; i < record->hold_count; i++)
		if (record->holds[i].lease.id.s[0])
			ret[count++] = &record->holds[i].lease;
	return count;
}

/* How many of them are real; *ret_node is where the first of these is, -1 when unknown. */
static size_t count_real(const struct gpu_lease *const *leases, size_t count, int32_t *ret_node)
{
	size_t real = 0;

	*ret_node = -1;
	for (size_t i = 0; i < count; i++) {
		if (leases[i]->simulated)
			continue;
		if (real++ == 0)
			*ret_node = leases[i]->numa_node;
	}
	return real;
}

static int check_restore(const struct host *host, const struct record *record, struct err *err)
{
	if (record->snapshot_bytes == 0 || record->kvm == host->kvm)
		return 0;
	return err_set(err, ERR_FAILED_PRECONDITION,
		       "its memory was saved %s KVM, and VMs run %s it now",
		       record->kvm ? "under" : "without", host->kvm ? "under" : "without");
}

static int build_plan(const struct host *host, const struct record *record, const struct spec *spec,
		      struct vm_plan *plan, struct plan_parts *parts, struct err *err)
{
	uint64_t all_memory = spec->memory_bytes + spec->hotplug_bytes;
	size_t count = find_leases(record, parts->leases);
	int32_t node;

	parts->real_leases = count_real(parts->leases, count, &node);
	*plan = (struct vm_plan){
		.name = spec->name,
		.id = record->id.s,
		.uuid = record->uuid.s,
		.vcpus = spec->vcpus,
		.memory_bytes = spec->memory_bytes,
		.hotplug_bytes = spec->hotplug_bytes,
		.memory = vm_memory_choose("/sys", spec->memory_bytes, node),
		.disk_io_bps = spec->disk_io_bps,
		.volumes = spec->volumes,
		.volume_count = spec->volume_count,
		.download_bps = spec->download_bps,
		.upload_bps = spec->upload_bps,
		.machine = record->machine,
		.restore = record->snapshot_bytes > 0,
		.kvm = host->kvm,
		.kernel = parts->kernel.kernel,
		.initramfs = parts->kernel.initramfs,
		.network = spec->network,
		.host_addresses = parts->addresses,
		.leases = parts->leases,
		.lease_count = count,
		.supervisor = host->supervisor,
	};
	if (kernels_find(layout_kernels(&host->layout).s, record->kernel, &parts->kernel, err) <
		    0 ||
	    check_restore(host, record, err) < 0 ||
	    vm_memory_check_lock(host->lock_limit, all_memory, parts->real_leases, err) < 0)
		return -1;
	return spec->network ? guard_list_host(parts->addresses, sizeof(parts->addresses), err) : 0;
}

static const char *flags(const struct vm_plan *plan, const struct plan_parts *parts)
{
	if (plan->restore)
		return SUPERVISOR_FLAG_RESTORE; /* never with a GPU */
	return parts->real_leases > 0 ? SUPERVISOR_FLAG_GPU : "-";
}

/* "volumes N DISK..." */
static int append_volumes(const struct host *host, const struct vm_plan *plan, char ***argv)
{
	int r = strv_append(argv, "volumes");

	if (r == 0)
		r = strv_appendf(argv, "%zu", plan->volume_count);
	for (size_t i = 0; r == 0 && i < plan->volume_count; i++)
		r = strv_appendf(argv, "%s:%s", plan->volumes[i].read_only ? "ro" : "rw",
				 layout_volume_disk(&host->layout, plan->volumes[i].id).s);
	return r;
}

/* The lists of volumes, of the network's and of the jail's arguments, behind what is fixed. */
static int build_command(const struct host *host, const struct record *record,
			 const struct vm_plan *plan, const char *words, const char *image_disk,
			 char ***ret, struct err *err)
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
	    strv_append(&argv, words) < 0 || append_volumes(host, plan, &argv) < 0 ||
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

static void note_memory(int directory, const struct vm_memory *memory)
{
	scoped_fd int logs = openat(directory, VM_LOG_DIRECTORY,
				    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (logs >= 0 && memory->note[0])
		log_event(logs, "%s", memory->note);
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
	struct plan_parts parts;
	struct vm_plan plan;

	if (directory < 0)
		return err_sys(err, directory, "cannot open the instance's directory");
	if (build_plan(host, record, spec, &plan, &parts, err) < 0 ||
	    build_command(host, record, &plan, flags(&plan, &parts), image_disk, &argv, err) < 0 ||
	    take_lock(directory, &lock, err) < 0 ||
	    socket_listen(layout_control(&host->layout, &record->id), SOCK_SEQPACKET, &control,
			  err) < 0 ||
	    socket_listen(layout_agent(&host->layout, &record->id), SOCK_STREAM, &agent, err) < 0)
		return -1;
	if (unlinkat(directory, VM_EXIT_FILE, 0) < 0 && errno != ENOENT)
		return err_sys(err, errno, "cannot remove an old exit file");
	output = open_output(directory);
	note_memory(directory, &plan.memory);

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

static int ask(int fd, struct control_request request)
{
	request.version = SUPERVISOR_PROTOCOL_VERSION;
	return send(fd, &request, sizeof(request), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

void vm_sweep(const struct host *host, const struct record *record)
{
	char uid[16], gid[16];
	const char *const argv[] = { host->supervisor, "sweep", uid, gid, NULL };
	const struct process_spec spec = { .argv = argv };
	const struct process_limits limits = { .timeout_ms = SWEEP_MS };
	struct process_result result;
	struct err err;

	snprintf(uid, sizeof(uid), "%u", host_uid(host, record->slot));
	snprintf(gid, sizeof(gid), "%u", host_gid(host, record->slot));
	if (process_run(&spec, &limits, &result, &err) < 0) {
		log_warning("instance %s: cannot look for left processes: %s", record->id.s,
			    err.message);
		return;
	}
	if (result.status != 0)
		log_warning("instance %s: cannot look for left processes: %.200s", record->id.s,
			    result.err.text);
	process_result_done(&result);
}

static int connect_control(const struct host *host, const struct id *id)
{
	const struct sockaddr_un address = socket_address(layout_control(&host->layout, id));
	scoped_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int vm_connect(const struct host *host, const struct id *id)
{
	scoped_fd int fd = connect_control(host, id);
	int r = fd < 0 ? fd : ask(fd, (struct control_request){ .kind = CONTROL_WATCH });

	return r < 0 ? r : TAKE_FD(fd);
}

int vm_read_stats(const struct host *host, const struct id *id, struct control_stats *ret)
{
	scoped_fd int fd = connect_control(host, id);
	struct pollfd answer = { .fd = fd, .events = POLLIN };
	struct control_stats stats;
	int r = fd < 0 ? fd : ask(fd, (struct control_request){ .kind = CONTROL_STATS });

	if (r < 0)
		return r;
	if (poll(&answer, 1, STATS_MS) <= 0)
		return -ETIMEDOUT;
	if (recv(fd, &stats, sizeof(stats), MSG_TRUNC) != (ssize_t)sizeof(stats) ||
	    stats.version != SUPERVISOR_PROTOCOL_VERSION || stats.size != sizeof(stats))
		return -EPROTO;
	*ret = stats;
	return 0;
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
	    status.phase < VM_PHASE_STARTING || status.phase > VM_PHASE_SAVING ||
	    !memchr(status.refusal, '\0', sizeof(status.refusal)))
		return -EPROTO;
	*ret = status;
	utf8_copy(ret->refusal, sizeof(ret->refusal), status.refusal);
	return 1;
}

int vm_ask_to_stop(int fd, uint32_t grace_ms)
{
	return ask(fd, (struct control_request){ .kind = CONTROL_STOP, .grace_ms = grace_ms });
}

int vm_ask_for_standby(int fd, uint64_t bytes)
{
	return ask(fd, (struct control_request){ .kind = CONTROL_STANDBY, .bytes = bytes });
}

uint64_t vm_snapshot_bytes(const struct host *host, const struct id *id)
{
	scoped_fd int directory = layout_open_instance(&host->layout, id);
	struct stat st;

	if (directory < 0 || fstatat(directory, VM_MEMORY_FILE, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return st.st_size > 0 ? (uint64_t)st.st_size : 1;
}

void vm_forget_exit(const struct host *host, const struct id *id)
{
	scoped_fd int directory = layout_open_instance(&host->layout, id);

	if (directory >= 0)
		(void)unlinkat(directory, VM_EXIT_FILE, 0);
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
	    end.end < VM_END_EXIT || end.end > VM_END_STANDBY || end.exit_code < 0 ||
	    end.exit_code > 255 || !memchr(end.text, '\0', sizeof(end.text)))
		return -EPROTO;
	*ret = end;
	utf8_copy(ret->text, sizeof(ret->text), end.text);
	return 0;
}
