/* SPDX-License-Identifier: Apache-2.0 */
#include "resources.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/scoped.h"
#include "size.h"

static const char *const names[RESOURCE_COUNT] = {
	[RESOURCE_CPU] = "cpu",
	[RESOURCE_MEMORY] = "memory",
	[RESOURCE_DISK] = "disk",
	[RESOURCE_NETWORK] = "network",
};

const char *resource_name(enum resource_kind kind)
{
	return names[kind];
}

static void set(struct resource *resource, int64_t capacity, const char *source)
{
	resource->capacity = capacity;
	snprintf(resource->source, sizeof(resource->source), "%s", source);
}

static int read_memory(struct resource *resource, struct err *err)
{
	scoped_file FILE *file = fopen("/proc/meminfo", "re");
	char line[128];
	int64_t kib;

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "MemTotal: %" SCNd64 " kB", &kib) != 1)
			continue;
		set(resource, kib * 1024, "/proc/meminfo");
		return 0;
	}
	return err_set(err, ERR_INTERNAL, "cannot read MemTotal of /proc/meminfo");
}

static int read_disk(const char *path, struct resource *resource, struct err *err)
{
	struct statvfs st;

	if (statvfs(path, &st) < 0)
		return err_sys(err, errno, "cannot look at the file system of %s", path);
	set(resource, (int64_t)(st.f_blocks * st.f_frsize), "statvfs");
	return 0;
}

/* The interface with the default route, or an empty text. */
static void find_uplink(char *name, size_t size)
{
	scoped_file FILE *file = fopen("/proc/net/route", "re");
	char line[256], interface[32];
	unsigned destination;

	name[0] = '\0';
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%31s %x", interface, &destination) == 2 && destination == 0 &&
		    strcmp(interface, "Iface") != 0) {
			snprintf(name, size, "%s", interface);
			return;
		}
	}
}

/* Virtual interfaces have no speed: then nothing is known, which is 0. */
static void read_network(struct resource *resource)
{
	char name[32], path[96];
	long megabits = 0;

	find_uplink(name, sizeof(name));
	snprintf(path, sizeof(path), "/sys/class/net/%s/speed", name);
	if (*name) {
		scoped_file FILE *file = fopen(path, "re");

		if (!file || fscanf(file, "%ld", &megabits) != 1 || megabits < 0)
			megabits = 0;
	}
	set(resource, megabits * 1000000, megabits > 0 ? path : "unknown");
}

int resources_read(const char *disk_path, const struct resource_factors *factors,
		   struct resources *ret, struct err *err)
{
	struct resources resources = { 0 };

	set(&resources.kind[RESOURCE_CPU], sysconf(_SC_NPROCESSORS_ONLN), "sysconf");
	if (read_memory(&resources.kind[RESOURCE_MEMORY], err) < 0 ||
	    read_disk(disk_path, &resources.kind[RESOURCE_DISK], err) < 0)
		return -1;
	if (factors->network_bps > 0)
		set(&resources.kind[RESOURCE_NETWORK], (int64_t)factors->network_bps,
		    "network-capacity");
	else
		read_network(&resources.kind[RESOURCE_NETWORK]);
	for (int i = 0; i < RESOURCE_COUNT; i++) {
		struct resource *resource = &resources.kind[i];

		resource->oversubscription = factors->percent[i] ? factors->percent[i] : 100;
		/* Divided first, since bytes times percent may not fit. */
		resource->limit = resource->capacity / 100 * resource->oversubscription +
				  resource->capacity % 100 * resource->oversubscription / 100;
	}
	*ret = resources;
	return 0;
}

/* Both directions have the whole of a link each. */
static int64_t network_of(const struct spec *spec)
{
	return (int64_t)(spec->download_bps > spec->upload_bps ? spec->download_bps
							       : spec->upload_bps);
}

void resources_add(struct resources *resources, const struct spec *spec, bool runs)
{
	resources->kind[RESOURCE_DISK].allocated += (int64_t)spec->overlay_bytes;
	if (!runs)
		return;
	resources->kind[RESOURCE_CPU].allocated += spec->vcpus;
	resources->kind[RESOURCE_MEMORY].allocated += (int64_t)spec->memory_bytes;
	resources->kind[RESOURCE_NETWORK].allocated += network_of(spec);
}

void resources_add_disk(struct resources *resources, uint64_t bytes)
{
	resources->kind[RESOURCE_DISK].allocated += (int64_t)bytes;
}

/* For people: "4 vCPUs", "23.4 GB". */
static struct size_text amount(enum resource_kind kind, int64_t value)
{
	struct size_text text;

	if (kind == RESOURCE_CPU)
		snprintf(text.s, sizeof(text.s), "%" PRId64 " vCPUs", value);
	else if (kind == RESOURCE_NETWORK)
		snprintf(text.s, sizeof(text.s), "%.2f Mbps", (double)value / 1e6);
	else
		snprintf(text.s, sizeof(text.s), "%.2f GB", (double)value / (1 << 30));
	return text;
}

static int admit(enum resource_kind kind, const struct resource *resource, int64_t wanted,
		 struct err *err)
{
	int64_t left = resource->limit - resource->allocated;

	if (wanted <= left)
		return 0;
	err_set(err, ERR_INSUFFICIENT_CAPACITY,
		"not enough %s: %s asked for, %s available (%s promised of %s, which is %u%% of %s)",
		names[kind], amount(kind, wanted).s, amount(kind, left > 0 ? left : 0).s,
		amount(kind, resource->allocated).s, amount(kind, resource->limit).s,
		resource->oversubscription, amount(kind, resource->capacity).s);
	err_add_detail(err, names[kind], "host", "%s", err->message);
	return -1;
}

int resources_admit(const struct resources *resources, const struct spec *spec, struct err *err)
{
	const struct resource *kind = resources->kind;

	if (admit(RESOURCE_CPU, &kind[RESOURCE_CPU], spec->vcpus, err) < 0 ||
	    admit(RESOURCE_MEMORY, &kind[RESOURCE_MEMORY], (int64_t)spec->memory_bytes, err) < 0)
		return -1;
	if (kind[RESOURCE_NETWORK].capacity > 0 &&
	    admit(RESOURCE_NETWORK, &kind[RESOURCE_NETWORK], network_of(spec), err) < 0)
		return -1;
	return admit(RESOURCE_DISK, &kind[RESOURCE_DISK], (int64_t)spec->overlay_bytes, err);
}

int resources_admit_disk(const struct resources *resources, uint64_t bytes, struct err *err)
{
	return admit(RESOURCE_DISK, &resources->kind[RESOURCE_DISK], (int64_t)bytes, err);
}
