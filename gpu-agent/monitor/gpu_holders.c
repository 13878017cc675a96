/* SPDX-License-Identifier: Apache-2.0 */
#include "gpu_holders.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "gpu_nodes.h"
#include "pci.h"
#include "process.h"
#include "request.h"

struct search {
	const struct host *host;
	const struct pci_addr *gpus;
	size_t count;
	struct gpu_nodes nodes;
	void (*found)(void *context, const struct op_holder *holder);
	void *context;

	/* Of the process being looked at; bit i: of gpus[i]. */
	uint32_t certain;
	uint32_t maybe;
	uint32_t shared;
	bool has_own; /* a node of some GPU, asked about or not: what it shares is that one's */
};

static void note(struct search *search, const struct gpu_node *node, bool same)
{
	if (node->is_shared) {
		search->shared |= node->gpus;
		return;
	}
	search->has_own = true;
	if (same && !node->is_guess)
		search->certain |= node->gpus;
	else
		search->maybe |= node->gpus;
}

static int visit_fd(void *context, const struct process *process, int fds, const char *fd)
{
	struct search *search = context;
	struct statx st;
	int r = process_stat_fd(fds, fd, &st);

	(void)process;
	for (size_t i = 0; r > 0 && i < search->nodes.count; i++)
		if (process_is_same_node(&st, &search->nodes.items[i].st))
			note(search, &search->nodes.items[i], true);
	return r < 0 ? r : 0;
}

/*
 * A mapping tells the file's inode and file system but no device number: the same file is known
 * by them, and a container's node of its own by its name.
 */
static int visit_map(void *context, const struct process_map *map)
{
	struct search *search = context;
	const char *device = strstr(map->path, "/dev/");

	for (size_t i = 0; i < search->nodes.count; i++) {
		const struct gpu_node *node = &search->nodes.items[i];

		if (map->inode == node->st.stx_ino && map->major == node->st.stx_dev_major &&
		    map->minor == node->st.stx_dev_minor)
			note(search, node, true);
		else if (device && strcmp(device + strlen("/dev/"), node->name) == 0)
			note(search, node, false);
	}
	return 0;
}

static void tell(struct search *search, const struct process *process)
{
	uint32_t any = search->certain | search->maybe;
	struct op_holder holder;

	if (!search->has_own)
		any |= search->shared;
	for (size_t i = 0; i < search->count; i++) {
		if (!(any & UINT32_C(1) << i))
			continue;
		process_describe(process, search->certain & UINT32_C(1) << i, &holder);
		holder.gpu = search->gpus[i];
		search->found(search->context, &holder);
	}
}

static int visit(void *context, const struct process *process)
{
	struct search *search = context;
	int r;

	search->certain = search->maybe = search->shared = 0;
	search->has_own = false;
	r = process_each_fd(process, visit_fd, search);
	if (r == 0)
		r = process_each_map(process, visit_map, search);
	tell(search, process); /* what was seen before an error counts too */
	/* Where nothing real is at stake (a container with a simulated host), others may hide. */
	return process_has_ended(r) || search->host->simulated ? 0 : r;
}

int gpu_holders_find(const struct host *host, const struct pci_addr *gpus, size_t count,
		     void (*found)(void *context, const struct op_holder *holder), void *context)
{
	struct search *search = calloc(1, sizeof(*search));
	int r;

	if (!search)
		return -ENOMEM;
	search->host = host;
	search->gpus = gpus;
	search->count = count;
	search->found = found;
	search->context = context;
	r = gpu_nodes_find(host, gpus, count, &search->nodes);
	if (r == 0 && search->nodes.count > 0)
		r = process_each(visit, search);
	free(search);
	return r;
}

/* ---- operations ---------------------------------------------------------------------- */

struct sending {
	struct job *job;
	uint32_t count;
	struct op_holder first;
};

static void send_holder(void *context, const struct op_holder *holder)
{
	struct sending *sending = context;
	struct op_record record;

	job_record_init(&record, OP_RECORD_HOLDER);
	record.holder = *holder;
	job_send(sending->job, &record);
	if (sending->count++ == 0)
		sending->first = *holder;
}

int gpu_holders_rule_out(struct job *job, const struct plan *plan)
{
	struct sending sending = { .job = job };
	int r = gpu_holders_find(&job->host, &plan->gpu, 1, send_holder, &sending);

	if (r < 0) {
		job_end(job, OP_KERNEL, r, "cannot tell who uses GPU %s", PCI_STR(plan->gpu));
		return -1;
	}
	if (sending.count == 0)
		return 0;
	job_end(job, OP_IN_USE, 0, "GPU %s is in use by %s (pid %d)%s", PCI_STR(plan->gpu),
		sending.first.command, sending.first.pid, sending.count > 1 ? " and others" : "");
	job->result.reason = OP_REASON_HELD;
	return -1;
}

static bool is_gpu(const struct job *job, struct pci_addr address)
{
	struct pci_identity identity;
	struct pci_addr physical;

	return pci_read_physical(&job->host.sysfs, address, &physical) == 0 &&
	       pci_addr_compare(physical, address) == 0 &&
	       request_is_in_scope(&job->request, address) &&
	       pci_read_identity(&job->host.sysfs, address, &identity) == 0 &&
	       policy_is_gpu(job->policy, identity.class_code);
}

/* The physical GPUs of the request's scope: how many, or -errno. */
static int list_gpus(const struct job *job, struct pci_addr gpus[static OPS_GPUS_MAX])
{
	scoped_dir DIR *dir = NULL;
	const struct dirent *entry;
	struct pci_addr address;
	int count = 0;
	int r = tree_list(&job->host.sysfs, &dir, "bus/pci/devices");

	while (r >= 0 && (entry = readdir(dir))) {
		if (pci_addr_parse(entry->d_name, &address) < 0 || !is_gpu(job, address))
			continue;
		if (count == OPS_GPUS_MAX)
			return -E2BIG;
		gpus[count++] = address;
	}
	return r < 0 ? r : count;
}

void gpu_holders_run(struct job *job)
{
	struct sending sending = { .job = job };
	struct pci_addr gpus[OPS_GPUS_MAX];
	int r = list_gpus(job, gpus);

	if (r > 0)
		r = gpu_holders_find(&job->host, gpus, (size_t)r, send_holder, &sending);
	if (r < 0)
		job_end(job, OP_KERNEL, r, "cannot tell who uses the GPUs");
	else
		job_end(job, OP_OK, 0, "%u uses of GPUs by processes", sending.count);
}
