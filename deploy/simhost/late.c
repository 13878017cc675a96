/* SPDX-License-Identifier: Apache-2.0 */
#include "late.h"

#include <errno.h>
#include <string.h>

#include "driver.h"
#include "group.h"
#include "mdev.h"
#include "vendor.h"

/* ---- writes -------------------------------------------------------------------- */

static void late_free(struct late_write *late)
{
	free(late->text);
	free(late);
}

static int late_keep(struct host *host, struct node node, struct function *function, enum op op,
		     const struct tree_write *write, bool is_done)
{
	struct late_write *late = calloc(1, sizeof(*late)), **link = &host->late_writes;

	if (!late)
		return -ENOMEM;
	*late = (struct late_write){
		.op = op,
		.is_done = is_done,
		.function = function,
		.node = node,
		.text = strdup(write->text),
		.length = write->length,
		.writer = write->writer,
		.waiter = write->waiter,
	};
	if (!late->text) {
		late_free(late);
		return -ENOMEM;
	}
	while (*link)
		link = &(*link)->next;
	*link = late;
	return HOST_PENDING;
}

static bool is_locked(const struct function *function, enum op op)
{
	return op_takes_lock(op) && function->is_unbinding;
}

/* 0: it may begin. */
static int fault_refuse(const struct host *host, struct op_faults *faults)
{
	if (faults->eio > 0) {
		faults->eio--;
		return -EIO;
	}
	return host_now_ms(host) < faults->busy_till ? -EBUSY : 0;
}

int late_store(struct host *host, struct node node, struct function *function, enum op op,
	       tree_store_fn *store, const struct tree_write *write)
{
	struct op_faults *faults = &function->faults.ops[op];
	int r;

	if (faults->hang_before || is_locked(function, op))
		return late_keep(host, node, function, op, write, false);
	r = fault_refuse(host, faults);
	if (r < 0 || faults->ignored)
		return r;
	r = store(host, node, write);
	if (r == 0 && faults->hang)
		return late_keep(host, node, function, op, write, true);
	return r;
}

/* The driver notices when the vGPU that it makes is taken away again. */
static bool is_created_in_vain(const struct host *host, const struct late_write *late)
{
	char uuid[HOST_UUID_SIZE];

	if (late->op != OP_CREATE)
		return false;
	snprintf(uuid, sizeof(uuid), "%s", late->text);
	for (char *c = uuid; *c; c++)
		*c |= *c >= 'A' && *c <= 'F' ? 0x20 : 0;
	return !host_find_uuid(host, uuid);
}

static bool late_still_waits(const struct host *host, const struct late_write *late)
{
	const struct op_faults *faults = &late->function->faults.ops[late->op];

	if (late->is_done)
		return faults->hang && !is_created_in_vain(host, late);
	return faults->hang_before || is_locked(late->function, late->op);
}

static void late_go_on(struct host *host, struct late_write *late)
{
	const struct tree_write write = {
		.text = late->text,
		.length = late->length,
		.writer = late->writer,
		.waiter = late->waiter,
	};
	int r = late->is_done ? 0 : tree_store(host, late->node, &write);

	if (r != HOST_PENDING && late->waiter)
		late->waiter->done(late->waiter, r);
	late_free(late);
}

static struct late_write *late_take_next(struct host *host)
{
	struct late_write **link = &host->late_writes, *late;

	while (*link && late_still_waits(host, *link))
		link = &(*link)->next;
	late = *link;
	if (late)
		*link = late->next;
	return late;
}

/* ---- reads --------------------------------------------------------------------- */

static uint64_t inode_of(struct host *host, struct node node)
{
	struct tree_stat st;

	return tree_stat(host, node, &st) == 0 ? st.inode : 0;
}

enum read_fault late_read_fault(struct host *host, struct node node,
				const struct function *function)
{
	if (host->path_faults) {
		uint64_t inode = inode_of(host, node);

		for (const struct path_fault *at = host->path_faults; at; at = at->next)
			if (at->inode == inode)
				return at->fault;
	}
	if (!function)
		return READ_WELL;
	if (function->faults.read != READ_WELL)
		return function->faults.read;
	return function->gpu->physical->faults.read;
}

static void path_fault_drop(struct host *host, uint64_t inode)
{
	for (struct path_fault **link = &host->path_faults; *link;) {
		struct path_fault *fault = *link;

		if (fault->inode != inode) {
			link = &fault->next;
			continue;
		}
		*link = fault->next;
		free(fault);
	}
}

int late_set_read_fault(struct host *host, struct node node, enum read_fault kind)
{
	uint64_t inode = inode_of(host, node);
	struct path_fault *fault;

	path_fault_drop(host, inode);
	if (kind == READ_WELL)
		return 0;
	fault = calloc(1, sizeof(*fault));
	if (!fault)
		return -ENOMEM;
	*fault = (struct path_fault){ host->path_faults, inode, kind };
	host->path_faults = fault;
	return 0;
}

/* ---- all ----------------------------------------------------------------------- */

static void path_faults_free(struct host *host)
{
	struct path_fault *fault;

	while ((fault = host->path_faults) != NULL) {
		host->path_faults = fault->next;
		free(fault);
	}
}

static void go_on(struct host *host)
{
	mdev_resume_all(host);
	driver_resume(host);
	(void)late_settle(host);
}

void late_end_faults(struct host *host)
{
	for (size_t i = 0; i < host->function_count; i++)
		host->functions[i].faults = (struct faults){ 0 };
	path_faults_free(host);
	go_on(host);
}

void late_end_faults_of(struct host *host, struct function *function)
{
	function->faults = (struct faults){ 0 };
	go_on(host);
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

int64_t late_settle(struct host *host)
{
	struct late_write *late;
	int64_t next = 0;

	group_tick(host);
	vendor_tick(host);
	while ((late = late_take_next(host)) != NULL)
		late_go_on(host, late);
	for (size_t i = 0; i < host->group_slots; i++)
		if (host->groups[i])
			next = earlier(next, host->groups[i]->closed_at);
	for (size_t i = 0; i < host->function_count; i++)
		if (host->functions[i].vgpu.destroyer)
			next = earlier(next, host->functions[i].vgpu.destroy_deadline);
	return next;
}

void late_free_all(struct host *host)
{
	struct late_write *late;

	while ((late = host->late_writes) != NULL) {
		host->late_writes = late->next;
		late_free(late);
	}
	path_faults_free(host);
}
