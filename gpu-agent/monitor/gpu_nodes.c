/* SPDX-License-Identifier: Apache-2.0 */
#include "gpu_nodes.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "gpu-agent/ops.h"
#include "pci.h"
#include "process.h"

#define NVIDIA_DRIVER "nvidia"
#define NVIDIA_SHARED "nvidia-uvm"

static int add(const struct host *host, struct gpu_nodes *nodes, const struct gpu_node *as,
	       const char *name)
{
	scoped_fd int fd = tree_open_file(&host->dev, O_PATH | O_NOFOLLOW, "%s", name);
	struct gpu_node *node = &nodes->items[nodes->count];

	if (fd == -ENOENT)
		return 0; /* nobody can open what has no node; a container's own is not seen */
	if (fd < 0)
		return fd;
	if (nodes->count == GPU_NODES_MAX || strlen(name) >= sizeof(node->name))
		return -E2BIG;
	if (process_stat(fd, "", AT_EMPTY_PATH, &node->st) < 0)
		return -errno;
	node->gpus = as->gpus;
	node->is_guess = as->is_guess;
	node->is_shared = as->is_shared;
	strcpy(node->name, name);
	nodes->count++;
	return 0;
}

/* ---- DRM and sound: sysfs names the nodes -------------------------------------------- */

/* DEVNAME=dri/card1 in its uevent. */
static int add_by_uevent(const struct host *host, struct gpu_nodes *nodes, uint32_t gpu,
			 const char *directory)
{
	char text[TREE_TEXT_MAX], *name;
	int r = tree_read(&host->sysfs, text, sizeof(text), "%s/uevent", directory);

	if (r < 0)
		return r == -ENOENT || r == -ENODEV ? 0 : r;
	name = strstr(text, "DEVNAME=");
	if (!name)
		return 0;
	name += strlen("DEVNAME=");
	name[strcspn(name, "\n")] = '\0';
	return add(host, nodes, &(struct gpu_node){ .gpus = gpu }, name);
}

/* What lies beneath directory, down to depth more levels. */
static int add_below(const struct host *host, struct gpu_nodes *nodes, uint32_t gpu,
		     const char *directory, int depth)
{
	scoped_dir DIR *dir = NULL;
	const struct dirent *entry;
	char path[TREE_PATH_MAX];
	int r = tree_list(&host->sysfs, &dir, "%s", directory);

	if (r < 0)
		return r == -ENOENT || r == -ENOTDIR ? 0 : r;
	while (r >= 0 && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || entry->d_type == DT_LNK)
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name) >=
		    (int)sizeof(path))
			return -ENAMETOOLONG;
		r = add_by_uevent(host, nodes, gpu, path);
		if (r == 0 && depth > 0 && entry->d_type != DT_REG)
			r = add_below(host, nodes, gpu, path, depth - 1);
	}
	return r < 0 ? r : 0;
}

/* PCI/drm/card1, PCI/sound/card0/controlC0: no deeper. */
static int add_function(const struct host *host, struct gpu_nodes *nodes, uint32_t gpu,
			struct pci_addr address)
{
	char path[TREE_PATH_MAX];
	int r;

	snprintf(path, sizeof(path), PCI "/drm", PCI_STR(address));
	r = add_below(host, nodes, gpu, path, 0);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), PCI "/sound", PCI_STR(address));
	return add_below(host, nodes, gpu, path, 1);
}

/* ---- NVIDIA: the nodes are numbered by the driver ------------------------------------- */

/* "Device Minor: 	 0" of the driver's own /proc; -ENOENT: it does not tell. */
static int read_minor(const struct host *host, struct pci_addr gpu)
{
	char path[96], line[256];
	scoped_file FILE *file = NULL;
	int minor;

	if (host->simulated)
		return -ENOENT; /* the real driver knows nothing of these */
	snprintf(path, sizeof(path), "/proc/driver/nvidia/gpus/%s/information", PCI_STR(gpu));
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "Device Minor: %d", &minor) == 1)
			return minor;
	return -ENOENT;
}

static bool is_nvidia(const struct host *host, struct pci_addr gpu)
{
	char driver[OPS_DRIVER_MAX];

	/* One whose driver cannot be read may be: that fails closed. */
	return pci_read_driver(&host->sysfs, gpu, driver) < 0 || strcmp(driver, NVIDIA_DRIVER) == 0;
}

static bool is_numbered(const char *name)
{
	const size_t stem = strlen(NVIDIA_DRIVER);

	return strncmp(name, NVIDIA_DRIVER, stem) == 0 && isdigit((unsigned char)name[stem]) &&
	       strspn(name + stem, "0123456789") == strlen(name + stem);
}

/* Nodes that nobody claims may be of any GPU whose number is not known. */
static int add_nvidia(const struct host *host, struct gpu_nodes *nodes, const struct pci_addr *gpus,
		      size_t count)
{
	uint32_t all = 0, unnumbered = 0;
	int minors[OPS_GPUS_MAX];
	scoped_dir DIR *dir = NULL;
	const struct dirent *entry;
	int r;

	for (size_t i = 0; i < count; i++) {
		minors[i] = -1;
		if (!is_nvidia(host, gpus[i]))
			continue;
		minors[i] = read_minor(host, gpus[i]);
		all |= UINT32_C(1) << i;
		unnumbered |= minors[i] < 0 ? UINT32_C(1) << i : 0;
	}
	if (all == 0)
		return 0;
	r = tree_list(&host->dev, &dir, ".");
	while (r >= 0 && (entry = readdir(dir))) {
		struct gpu_node node = { .gpus = all, .is_shared = true };

		if (strcmp(entry->d_name, NVIDIA_SHARED) == 0)
			r = add(host, nodes, &node, entry->d_name);
		if (!is_numbered(entry->d_name))
			continue;
		node = (struct gpu_node){ 0 };
		for (size_t i = 0; i < count; i++)
			if (minors[i] >= 0 && minors[i] == atoi(entry->d_name + strlen("nvidia")))
				node.gpus |= UINT32_C(1) << i;
		node.is_guess = node.gpus == 0;
		node.gpus = node.is_guess ? unnumbered : node.gpus;
		r = add(host, nodes, &node, entry->d_name);
	}
	return r < 0 ? r : 0;
}

int gpu_nodes_find(const struct host *host, const struct pci_addr *gpus, size_t count,
		   struct gpu_nodes *ret)
{
	int r;

	ret->count = 0;
	for (size_t i = 0; i < count; i++) {
		for (int function = 0; function < 8; function++) {
			struct pci_addr address = gpus[i];

			address.function = (uint8_t)function;
			r = add_function(host, ret, UINT32_C(1) << i, address);
			if (r < 0)
				return r;
		}
	}
	return add_nvidia(host, ret, gpus, count);
}
