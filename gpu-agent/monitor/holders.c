/* SPDX-License-Identifier: Apache-2.0 */
#include "holders.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "process.h"

#define VFIO_DEVICE "anon_inode:[vfio-device]"
#define NODES_MAX   9 /* a group's, and those of a slot's functions */

/* What a descriptor that holds the device looks like. */
struct target {
	const char *tag;
	size_t node_count;
	struct statx nodes[NODES_MAX];
};

enum match {
	MATCH_NONE,
	MATCH_OTHER,  /* a VFIO device, and another one: what is mapped is its */
	MATCH_HIDDEN, /* cannot be looked at */
	MATCH_MAYBE,
	MATCH_CERTAIN,
};

struct search {
	struct target target;
	struct holders *holders;
	bool simulated; /* nothing real is at stake: processes may hide */
	size_t guesses;
	enum match best; /* of the process being looked at */
};

/* ---- what is looked for -------------------------------------------------------------- */

static void add_node(struct target *target, int take_fd)
{
	scoped_fd int fd = take_fd;

	if (fd >= 0 && target->node_count < NODES_MAX &&
	    process_stat(fd, "", AT_EMPTY_PATH, &target->nodes[target->node_count]) == 0)
		target->node_count++;
}

/* The device's own node, on kernels that have those. */
static void add_device_node(struct target *target, const struct host *host, const char *path)
{
	scoped_dir DIR *dir = NULL;
	const struct dirent *entry;

	if (tree_list(&host->sysfs, &dir, "bus/pci/devices/%s/vfio-dev", path) < 0)
		return;
	while ((entry = readdir(dir)))
		if (strncmp(entry->d_name, "vfio", 4) == 0)
			add_node(target, tree_open_file(&host->dev, O_PATH | O_NOFOLLOW,
							"vfio/devices/%s", entry->d_name));
}

/* A whole GPU's tag ends in a dot, and its path in a function: each function has a node. */
static void add_device_nodes(struct target *target, const struct host *host,
			     const struct device *device)
{
	char path[DEVICE_PATH_MAX];
	size_t last = strlen(device->path) - 1;

	if (device->tag[strlen(device->tag) - 1] != '.') {
		add_device_node(target, host, device->path);
		return;
	}
	strcpy(path, device->path);
	for (path[last] = '0'; path[last] < '8'; path[last]++)
		add_device_node(target, host, path);
}

static void target_init(struct target *target, const struct host *host, const struct device *device)
{
	*target = (struct target){ .tag = device->tag };
	if (device->iommu_group != OPS_NO_GROUP)
		add_node(target, tree_open_file(&host->dev, O_PATH | O_NOFOLLOW, "vfio/%" PRIu32,
						device->iommu_group));
	add_device_nodes(target, host, device);
}

/* ---- one process --------------------------------------------------------------------- */

/* A VFIO device descriptor names its device in fdinfo since Linux 6.18, for PCI at least. */
static enum match match_device(const struct target *target, const struct process *process,
			       const char *fd)
{
	char path[64], text[TREE_TEXT_MAX];
	scoped_fd int info = -1;
	const char *device;
	ssize_t length;

	snprintf(path, sizeof(path), "fdinfo/%s", fd);
	info = openat(process->dir, path, O_RDONLY | O_CLOEXEC);
	length = info < 0 ? -1 : read(info, text, sizeof(text) - 1);
	if (length < 0)
		return MATCH_MAYBE;
	text[length] = '\0';
	device = strstr(text, "vfio-device-syspath:");
	if (!device)
		return MATCH_MAYBE;
	return strstr(device, target->tag) ? MATCH_CERTAIN : MATCH_OTHER;
}

static enum match match_fd(const struct target *target, const struct process *process, int fds,
			   const char *fd)
{
	char link[64];
	struct statx st;
	ssize_t length;
	int r = process_stat_fd(fds, fd, &st);

	if (r <= 0)
		return r < 0 ? MATCH_HIDDEN : MATCH_NONE;
	for (size_t i = 0; i < target->node_count; i++)
		if (process_is_same_node(&st, &target->nodes[i]))
			return MATCH_CERTAIN;
	if ((st.stx_mode & S_IFMT) != 0)
		return MATCH_NONE; /* anonymous inodes have no type */
	length = readlinkat(fds, fd, link, sizeof(link) - 1);
	if (length < 0)
		return MATCH_NONE;
	link[length] = '\0';
	if (strcmp(link, VFIO_DEVICE) != 0)
		return MATCH_NONE;
	return match_device(target, process, fd);
}

static int visit_fd(void *context, const struct process *process, int fds, const char *fd)
{
	struct search *search = context;
	enum match match = match_fd(&search->target, process, fds, fd);

	if (match > search->best)
		search->best = match;
	return search->best == MATCH_CERTAIN;
}

/* A device's memory can be mapped without any descriptor being open; of which, it does not say. */
static int visit_map(void *context, const struct process_map *map)
{
	struct search *search = context;

	if (strstr(map->path, VFIO_DEVICE))
		search->best = MATCH_MAYBE;
	return search->best == MATCH_MAYBE;
}

static int visit(void *context, const struct process *process)
{
	struct search *search = context;
	struct holders *holders = search->holders;
	int r;

	search->best = MATCH_NONE;
	r = process_each_fd(process, visit_fd, search);
	if (r == 0 && search->best == MATCH_NONE)
		r = process_each_map(process, visit_map, search);
	if (search->best == MATCH_HIDDEN || (r < 0 && !process_has_ended(r)))
		holders->incomplete |= !search->simulated;
	if (search->best == MATCH_MAYBE && search->guesses++ >= HOLDERS_MAX / 2)
		return 0; /* leave room for the one that is certain */
	if (search->best >= MATCH_MAYBE)
		process_describe(process, search->best == MATCH_CERTAIN,
				 &holders->items[holders->count++]);
	return holders->count == HOLDERS_MAX;
}

/* Guesses are only worth telling when there is nothing better. */
static void drop_guesses(struct holders *holders)
{
	size_t certain = 0;

	for (size_t i = 0; i < holders->count; i++)
		if (holders->items[i].certain)
			holders->items[certain++] = holders->items[i];
	if (certain > 0)
		holders->count = certain;
}

int holders_find(const struct host *host, const struct device *device, struct holders *ret)
{
	struct search search = { .holders = ret, .simulated = host->simulated };
	int r;

	ret->count = 0;
	ret->incomplete = false;
	target_init(&search.target, host, device);
	r = process_each(visit, &search);
	if (r < 0)
		return r;
	drop_guesses(ret);
	return 0;
}
