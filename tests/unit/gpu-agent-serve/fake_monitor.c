/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_monitor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/send_fd.h"

struct fake_worker {
	struct fake_monitor *monitor;
	int fd;
	uint64_t id;
	struct pci_addr slot; /* that it was told to write to; all zero: none */
};

/* ---- Faults -------------------------------------------------------------------------- */

void fake_monitor_fail(struct fake_monitor *monitor, enum op_kind kind, enum fake_fault fault,
		       int count)
{
	pthread_mutex_lock(&monitor->lock);
	for (int i = 0; i < FAKE_FAULTS_MAX; i++) {
		if (monitor->faults[i].count)
			continue;
		monitor->faults[i].kind = kind;
		monitor->faults[i].fault = fault;
		monitor->faults[i].count = count;
		break;
	}
	pthread_mutex_unlock(&monitor->lock);
}

void fake_monitor_wait_stuck(struct fake_monitor *monitor)
{
	pthread_mutex_lock(&monitor->lock);
	while (monitor->hanging == 0)
		pthread_cond_wait(&monitor->worker_changed, &monitor->lock);
	pthread_mutex_unlock(&monitor->lock);
}

void fake_monitor_hang_gpu(struct fake_monitor *monitor, int gpu)
{
	pthread_mutex_lock(&monitor->lock);
	monitor->hung_gpu = gpu;
	pthread_mutex_unlock(&monitor->lock);
}

void fake_monitor_unstick(struct fake_monitor *monitor)
{
	pthread_mutex_lock(&monitor->lock);
	monitor->stuck = false;
	pthread_cond_broadcast(&monitor->unstuck);
	while (monitor->hanging)
		pthread_cond_wait(&monitor->worker_changed, &monitor->lock);
	monitor->stuck = true;
	pthread_mutex_unlock(&monitor->lock);
}

static bool waits_locked(const struct fake_monitor *monitor, struct pci_addr slot)
{
	const struct pci_addr none = { 0 };

	return monitor->stuck && (pci_addr_compare(slot, none) == 0 ||
				  pci_addr_compare(slot, monitor->unstuck_slot) != 0);
}

void fake_monitor_unstick_slot(struct fake_monitor *monitor, struct pci_addr slot)
{
	unsigned before;

	pthread_mutex_lock(&monitor->lock);
	before = monitor->hanging;
	monitor->unstuck_slot = slot;
	pthread_cond_broadcast(&monitor->unstuck);
	while (monitor->hanging == before)
		pthread_cond_wait(&monitor->worker_changed, &monitor->lock);
	monitor->unstuck_slot = (struct pci_addr){ 0 };
	pthread_mutex_unlock(&monitor->lock);
}

unsigned fake_monitor_stuck(struct fake_monitor *monitor)
{
	unsigned stuck = 0;

	pthread_mutex_lock(&monitor->lock);
	for (unsigned i = 0; i < monitor->hanging; i++)
		stuck += monitor->hung[i].given_up;
	pthread_mutex_unlock(&monitor->lock);
	return stuck;
}

static enum fake_fault take_fault_locked(struct fake_monitor *monitor, uint32_t kind)
{
	for (int i = 0; i < FAKE_FAULTS_MAX; i++) {
		if (monitor->faults[i].count && monitor->faults[i].kind == kind) {
			monitor->faults[i].count--;
			return monitor->faults[i].fault;
		}
	}
	return FAULT_NONE;
}

/* A fault of the monitor itself concerns whatever comes next. */
static bool refuses_worker(struct fake_monitor *monitor)
{
	bool refuses = false;

	pthread_mutex_lock(&monitor->lock);
	for (int i = 0; i < FAKE_FAULTS_MAX && !refuses; i++) {
		refuses = monitor->faults[i].count && monitor->faults[i].fault == FAULT_NO_WORKER;
		monitor->faults[i].count -= refuses;
	}
	pthread_mutex_unlock(&monitor->lock);
	return refuses;
}

static void hang_locked(const struct fake_worker *worker)
{
	struct fake_monitor *monitor = worker->monitor;

	monitor->hung[monitor->hanging].given_up = false;
	monitor->hung[monitor->hanging++].id = worker->id;
	pthread_cond_broadcast(&monitor->worker_changed);
	while (waits_locked(monitor, worker->slot))
		pthread_cond_wait(&monitor->unstuck, &monitor->lock);
}

static void unhang_locked(const struct fake_worker *worker)
{
	struct fake_monitor *monitor = worker->monitor;
	unsigned i = 0;

	while (monitor->hung[i].id != worker->id)
		i++;
	monitor->hung[i] = monitor->hung[--monitor->hanging];
	pthread_cond_broadcast(&monitor->worker_changed);
}

/* One that does not hang is over before it could be killed. */
static void give_up_locked(struct fake_monitor *monitor, uint64_t id)
{
	for (unsigned i = 0; i < monitor->hanging; i++)
		monitor->hung[i].given_up |= monitor->hung[i].id == id;
}

/* ---- Workers ------------------------------------------------------------------------- */

static void send_record(int fd, const struct op_record *record)
{
	(void)send(fd, record, sizeof(*record), MSG_NOSIGNAL);
}

static void send_result(int fd, enum op_status status, int error, uint32_t records,
			const char *message)
{
	struct op_result result;

	memset(&result, 0, sizeof(result));
	result.version = OPS_VERSION;
	result.status = status;
	result.error = error;
	result.records = records;
	snprintf(result.message, sizeof(result.message), "%s", message);
	(void)send(fd, &result, sizeof(result), MSG_NOSIGNAL);
}

/* Each GPU has a bus of its own. */
static bool is_in_scope(const struct op_request *request, struct pci_addr address)
{
	bool listed = false;

	for (uint32_t i = 0; i < request->gpu_count; i++)
		listed |= request->gpus[i].bus == address.bus;
	return request->scope == OP_SCOPE_ALL || listed == (request->scope == OP_SCOPE_ONLY);
}

static struct pci_addr subject_of(const struct op_record *record)
{
	if (record->kind == OP_RECORD_MDEV)
		return record->mdev.parent;
	return record->kind == OP_RECORD_PCI ? record->pci.address : record->mdev_type.parent;
}

/* Returns how many records it sent. */
static uint32_t hang_at_gpu_locked(const struct fake_worker *worker,
				   const struct op_request *request)
{
	const struct fake_monitor *monitor = worker->monitor;
	struct op_record record;

	if (monitor->hung_gpu < 0 || !is_in_scope(request, fake_gpu_address(monitor->hung_gpu)))
		return 0;
	memset(&record, 0, sizeof(record));
	record.version = OPS_VERSION;
	record.kind = OP_RECORD_SCANNING;
	record.scanning.gpu = fake_gpu_address(monitor->hung_gpu);
	record.scanning.class_code = monitor->hung_class;
	record.scanning.vendor = 0x10de;
	send_record(worker->fd, &record);
	hang_locked(worker);
	unhang_locked(worker);
	return 1;
}

static void scan_locked(const struct fake_worker *worker, const struct op_request *request,
			enum fake_fault fault)
{
	uint32_t sent = hang_at_gpu_locked(worker, request);
	struct op_record *records;
	size_t count = fake_kernel_scan(&worker->monitor->kernel, &records);

	if (fault == FAULT_HANG_AFTER) {
		hang_locked(worker);
		unhang_locked(worker);
	}
	for (size_t i = 0; i < count; i++) {
		if (!is_in_scope(request, subject_of(&records[i])))
			continue;
		send_record(worker->fd, &records[i]);
		sent++;
	}
	free(records);
	send_result(worker->fd, OP_OK, 0, sent + (fault == FAULT_CUT_SHORT), "scanned");
}

static int create_locked(struct fake_monitor *monitor, const struct op_request *request)
{
	int gpu, vf, r;

	if (!fake_vf_find(&monitor->kernel, request->parent, &gpu, &vf))
		return -ENODEV;
	r = fake_kernel_create(&monitor->kernel, gpu, vf, fake_type_find(request->type),
			       request->uuid);
	if (r == 0)
		monitor->kernel.mdevs[gpu][vf].in_journal = true;
	return r;
}

static void answer_create_locked(struct fake_monitor *monitor, int fd,
				 const struct op_request *request, int r)
{
	const struct fake_mdev *mdev = fake_kernel_find(&monitor->kernel, request->uuid);
	struct op_record record;

	if (r < 0) {
		send_result(fd, r == -EEXIST ? OP_EXISTS : OP_KERNEL, -r, 0, "cannot create it");
		return;
	}
	memset(&record, 0, sizeof(record));
	record.version = OPS_VERSION;
	record.kind = OP_RECORD_MDEV;
	record.mdev.parent = request->parent;
	record.mdev.iommu_group = mdev->group;
	record.mdev.in_journal = 1;
	memcpy(record.mdev.uuid, request->uuid, sizeof(record.mdev.uuid));
	memcpy(record.mdev.type, request->type, sizeof(record.mdev.type));
	send_record(fd, &record);
	send_result(fd, OP_OK, 0, 1, "created it");
}

static void answer_in_use(int fd, bool held)
{
	struct op_record record;

	memset(&record, 0, sizeof(record));
	record.version = OPS_VERSION;
	record.kind = OP_RECORD_HOLDER;
	record.holder.pid = 4711;
	record.holder.certain = 1;
	strcpy(record.holder.command, "qemu-system-x86");
	if (held)
		send_record(fd, &record);
	send_result(fd, OP_IN_USE, 0, held, "it is in use");
}

static int act_locked(struct fake_monitor *monitor, const struct op_request *request)
{
	switch (request->kind) {
	case OP_CREATE_MDEV:
		return create_locked(monitor, request);
	case OP_REMOVE_MDEV:
		return fake_kernel_remove(&monitor->kernel, request->uuid) ? 0 : -ENOENT;
	case OP_GRANT_NODE:
		monitor->granted_gid = request->gid;
		return request->gid == monitor->refused_gid ? -EPERM : 0;
	default:
		return -EINVAL;
	}
}

static void answer_locked(struct fake_monitor *monitor, int fd, const struct op_request *request,
			  int r)
{
	if (request->kind == OP_CREATE_MDEV)
		answer_create_locked(monitor, fd, request, r);
	else if (r == -EPERM)
		send_result(fd, OP_REFUSED, 0, 0, "not in grant-gids");
	else
		send_result(fd, r == -ENOENT ? OP_NOT_FOUND : OP_OK, 0, 0, "done");
}

static void work_locked(const struct fake_worker *worker, const struct op_request *request,
			enum fake_fault fault)
{
	bool hangs = fault == FAULT_HANG_BEFORE || fault == FAULT_HANG_AFTER;
	struct fake_monitor *monitor = worker->monitor;
	int fd = worker->fd, r = 0;

	if (fault == FAULT_HANG_BEFORE)
		hang_locked(worker);
	if (fault != FAULT_DIE_BEFORE && fault != FAULT_KERNEL && fault != FAULT_REFUSED &&
	    fault != FAULT_IN_USE && fault != FAULT_LATE)
		r = act_locked(monitor, request);
	if (fault == FAULT_HANG_AFTER)
		hang_locked(worker);
	if (hangs)
		unhang_locked(worker);
	if (hangs || fault == FAULT_DIE_BEFORE || fault == FAULT_DIE_AFTER)
		return;
	if (fault == FAULT_KERNEL)
		send_result(fd, OP_KERNEL, EIO, 0, "Input/output error");
	else if (fault == FAULT_UNVERIFIED)
		send_result(fd, OP_UNVERIFIED, 0, 0, "done, but it cannot be seen");
	else if (fault == FAULT_REFUSED)
		send_result(fd, OP_REFUSED, 0, 0, "policy forbids it");
	else if (fault == FAULT_IN_USE || fault == FAULT_LATE)
		answer_in_use(fd, fault == FAULT_IN_USE);
	else
		answer_locked(monitor, fd, request, r);
}

static void *worker_thread(void *argument)
{
	struct fake_worker *worker = argument;
	struct fake_monitor *monitor = worker->monitor;
	struct op_request request;
	enum fake_fault fault;

	if (recv(worker->fd, &request, sizeof(request), 0) == sizeof(request)) {
		worker->slot = request.parent;
		pthread_mutex_lock(&monitor->lock);
		monitor->runs[request.kind]++;
		fault = take_fault_locked(monitor, request.kind);
		if (request.kind == OP_CREATE_MDEV && monitor->delay_ms) {
			pthread_mutex_unlock(&monitor->lock);
			usleep((useconds_t)monitor->delay_ms * 1000);
			pthread_mutex_lock(&monitor->lock);
		}
		if (request.kind != OP_SCAN)
			work_locked(worker, &request, fault);
		else if (fault != FAULT_DIE_BEFORE)
			scan_locked(worker, &request, fault);
		pthread_mutex_unlock(&monitor->lock);
	}
	close(worker->fd);
	free(worker);
	pthread_mutex_lock(&monitor->lock);
	monitor->workers--;
	pthread_cond_broadcast(&monitor->worker_changed);
	pthread_mutex_unlock(&monitor->lock);
	return NULL;
}

/* ---- The monitor --------------------------------------------------------------------- */

static void start_worker(struct fake_monitor *monitor)
{
	struct monitor_reply reply = { .version = OPS_VERSION, .kind = MONITOR_WORKER_STARTED };
	struct fake_worker *worker = calloc(1, sizeof(*worker));
	pthread_t thread;
	int fds[2];

	pthread_mutex_lock(&monitor->lock);
	for (unsigned i = 0; i < monitor->hanging; i++)
		if (monitor->hung[i].given_up)
			reply.stuck[reply.stuck_workers++] = monitor->hung[i].id;
	reply.worker_id = ++monitor->last_worker;
	monitor->workers++;
	pthread_mutex_unlock(&monitor->lock);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		abort();
	*worker = (struct fake_worker){ .monitor = monitor, .fd = fds[1], .id = reply.worker_id };
	if (pthread_create(&thread, NULL, worker_thread, worker))
		abort();
	pthread_detach(thread);
	(void)send_fd(monitor->fd, &reply, sizeof(reply), fds[0]);
	close(fds[0]);
}

static void *monitor_thread(void *argument)
{
	struct fake_monitor *monitor = argument;
	struct monitor_reply refusal = { .version = OPS_VERSION, .kind = MONITOR_TOO_MANY_STUCK };
	struct monitor_request request;

	while (recv(monitor->fd, &request, sizeof(request), 0) == sizeof(request)) {
		if (request.kind == MONITOR_GIVE_UP_WORKER) {
			pthread_mutex_lock(&monitor->lock);
			give_up_locked(monitor, request.worker_id);
			pthread_mutex_unlock(&monitor->lock);
		} else if (refuses_worker(monitor)) {
			refusal.stuck_workers = OPS_STUCK_MAX;
			(void)send_fd(monitor->fd, &refusal, sizeof(refusal), -1);
		} else {
			start_worker(monitor);
		}
	}
	return NULL;
}

int fake_monitor_start(struct fake_monitor *monitor, int gpu_count)
{
	int fds[2];

	*monitor = (struct fake_monitor){ .stuck = true,
					  .hung_gpu = -1,
					  .hung_class = OPS_UNKNOWN_CLASS };
	pthread_mutex_init(&monitor->lock, NULL);
	pthread_cond_init(&monitor->unstuck, NULL);
	pthread_cond_init(&monitor->worker_changed, NULL);
	fake_kernel_init(&monitor->kernel, gpu_count);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		abort();
	monitor->fd = fds[1];
	if (pthread_create(&monitor->thread, NULL, monitor_thread, monitor))
		abort();
	return fds[0];
}

void fake_monitor_stop(struct fake_monitor *monitor)
{
	pthread_join(monitor->thread, NULL);
	fake_monitor_unstick(monitor);
	pthread_mutex_lock(&monitor->lock);
	while (monitor->workers)
		pthread_cond_wait(&monitor->worker_changed, &monitor->lock);
	pthread_mutex_unlock(&monitor->lock);
	close(monitor->fd);
	pthread_cond_destroy(&monitor->unstuck);
	pthread_cond_destroy(&monitor->worker_changed);
	pthread_mutex_destroy(&monitor->lock);
}

unsigned fake_monitor_runs(struct fake_monitor *monitor, enum op_kind kind)
{
	unsigned runs;

	pthread_mutex_lock(&monitor->lock);
	runs = monitor->runs[kind];
	pthread_mutex_unlock(&monitor->lock);
	return runs;
}

struct fake_kernel fake_monitor_kernel(struct fake_monitor *monitor)
{
	struct fake_kernel kernel;

	pthread_mutex_lock(&monitor->lock);
	kernel = monitor->kernel;
	pthread_mutex_unlock(&monitor->lock);
	return kernel;
}
