/* SPDX-License-Identifier: Apache-2.0 */
#include "vm_memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/scoped.h"
#include "size.h"

#define HUGE_PAGE_BYTES	  (UINT64_C(2) << 20)
#define DEVICE_LOCK_BYTES (UINT64_C(1) << 30) /* what libvirt reckons with, too */

static bool node_exists(const char *sys, int node)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "%s/devices/system/node/node%d", sys, node);
	return stat(path, &st) == 0;
}

/* With one node there is nothing to choose. */
static bool has_many_nodes(const char *sys)
{
	int nodes = 0;

	for (int i = 0; i < 1024 && nodes < 2; i++)
		nodes += node_exists(sys, i);
	return nodes > 1;
}

/* Of 2 MiB, on the node or (-1) on all; 0 when the kernel has none. */
static uint64_t free_huge_pages(const char *sys, int32_t node)
{
	char path[320];
	uint64_t pages = 0;
	scoped_file FILE *file = NULL;

	if (node >= 0)
		snprintf(path, sizeof(path),
			 "%s/devices/system/node/node%d/hugepages/hugepages-2048kB/free_hugepages",
			 sys, node);
	else
		snprintf(path, sizeof(path),
			 "%s/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", sys);
	file = fopen(path, "re");
	return file && fscanf(file, "%" SCNu64, &pages) == 1 ? pages : 0;
}

struct vm_memory vm_memory_choose(const char *sys, uint64_t bytes, int32_t node)
{
	struct vm_memory memory = { .node = -1 };
	uint64_t wanted = (bytes + HUGE_PAGE_BYTES - 1) / HUGE_PAGE_BYTES, free_pages;

	if (node >= 0 && has_many_nodes(sys) && node_exists(sys, node))
		memory.node = node;
	free_pages = free_huge_pages(sys, memory.node);
	memory.huge = free_pages >= wanted;
	if (!memory.huge)
		snprintf(memory.note, sizeof(memory.note),
			 "warning: %" PRIu64 " huge pages of 2 MiB are free and %" PRIu64
			 " are needed: the memory is in ordinary pages, which is slower",
			 free_pages, wanted);
	return memory;
}

int vm_memory_check_lock(uint64_t limit, uint64_t bytes, size_t devices, struct err *err)
{
	uint64_t needed = bytes + devices * DEVICE_LOCK_BYTES;

	if (devices == 0 || limit >= needed)
		return 0;
	return err_set(err, ERR_FAILED_PRECONDITION,
		       "a guest with %s of memory and %zu device(s) needs %s of locked memory, and "
		       "instance-svc may lock %s: raise its limit (LimitMEMLOCK=infinity of the "
		       "unit, or ulimit -l)",
		       SIZE_STR(bytes), devices, SIZE_STR(needed), SIZE_STR(limit));
}

uint64_t vm_memory_lock_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		return 0;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0 || limit.rlim_max == RLIM_INFINITY)
		return limit.rlim_max == RLIM_INFINITY ? UINT64_MAX : 0;
	return limit.rlim_max;
}
