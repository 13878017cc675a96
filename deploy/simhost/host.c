/* SPDX-License-Identifier: Apache-2.0 */
#include "host.h"

#include <errno.h>
#include <string.h>

#include "driver.h"
#include "group.h"
#include "hotplug.h"
#include "late.h"

#define VF_FIRST_OFFSET 4 /* NVIDIA: sriov_offset 4, sriov_stride 1 */
#define AUDIO_DRIVER	"snd_hda_intel"
#define VFIO_NUMBERS	16384 /* more than functions and vGPUs can be */

/* Buses that GPUs without a given address take, in this order: two sockets in turn. */
static const uint8_t default_buses[] = {
	0x41, 0x61, 0xa1, 0xc1, 0x21, 0x81, 0xe1, 0x01, 0x45, 0x65, 0xa5, 0xc5, 0x25,
	0x85, 0xe5, 0x05, 0x49, 0x69, 0xa9, 0xc9, 0x29, 0x89, 0xe9, 0x09, 0x4d, 0x6d,
	0xad, 0xcd, 0x2d, 0x8d, 0xed, 0x0d, 0x43, 0x63, 0xa3, 0xc3, 0x23, 0x83, 0xe3,
	0x03, 0x47, 0x67, 0xa7, 0xc7, 0x27, 0x87, 0xe7, 0x07, 0x4b, 0x6b, 0xab, 0xcb,
	0x2b, 0x8b, 0xeb, 0x0b, 0x4f, 0x6f, 0xaf, 0xcf, 0x2f, 0x8f, 0xef, 0x0f,
};
_Static_assert(sizeof(default_buses) == SPEC_GPUS_MAX, "a bus for each GPU");

static const char *driver_add(char (*drivers)[BOARD_WORD_SIZE], size_t *count, const char *name)
{
	for (size_t i = 0; i < *count; i++)
		if (strcmp(drivers[i], name) == 0)
			return drivers[i];
	if (*count == HOST_DRIVERS_MAX)
		return NULL;
	strcpy(drivers[*count], name);
	return drivers[(*count)++];
}

static int host_load_board(struct host *host, const char *boards_dir, const char *name,
			   const struct board **ret, struct err *err)
{
	scoped(board_free) struct board *board = NULL;

	for (size_t i = 0; i < host->board_count; i++) {
		if (strcmp(host->boards[i]->name, name) == 0) {
			*ret = host->boards[i];
			return 0;
		}
	}
	if (board_load(boards_dir, name, &board, err) < 0)
		return -1;
	if (!driver_add(host->drivers, &host->driver_count, board->driver) ||
	    !driver_add(host->drivers, &host->driver_count, AUDIO_DRIVER) ||
	    (board->mdev_driver[0] &&
	     !driver_add(host->mdev_drivers, &host->mdev_driver_count, board->mdev_driver)))
		return err_set(err, ERR_INVALID_ARGUMENT, "more than %d drivers on one host",
			       HOST_DRIVERS_MAX);
	*ret = board;
	host->boards[host->board_count++] = TAKE_PTR(board);
	return 0;
}

static uint32_t host_add_bus(struct host *host, struct bdf address)
{
	for (size_t i = 0; i < host->bus_count; i++)
		if (host->buses[i].domain == address.domain && host->buses[i].number == address.bus)
			return (uint32_t)i;
	host->buses[host->bus_count] = (struct bus){ address.domain, address.bus };
	return (uint32_t)host->bus_count++;
}

/* group NULL: one of its own. */
static int host_add_function(struct host *host, struct gpu *gpu, enum function_kind kind,
			     struct bdf address, struct group *group, struct function **ret,
			     struct err *err)
{
	struct function *function = &host->functions[host->function_count];

	if (host_find_slot(host, address))
		return err_set(err, ERR_INVALID_ARGUMENT, "spec: two functions at %s",
			       BDF_STR(address));
	if (!group && !(group = group_new(host)))
		return err_sys(err, ENOMEM, "cannot add %s", BDF_STR(address));
	*function = (struct function){
		.index = (uint32_t)host->function_count,
		.address = address,
		.kind = kind,
		.gpu = gpu,
		.is_absent = true, /* until host_add_gpu() plugs it in */
		.bus_index = host_add_bus(host, address),
		.group = group,
		.default_driver = host_find_driver(
			host, kind == FUNCTION_AUDIO ? AUDIO_DRIVER : gpu->board->driver),
	};
	host->function_count++;
	*ret = function;
	return 0;
}

static int host_add_vfs(struct host *host, struct gpu *gpu, struct bdf address, struct err *err)
{
	struct function *function;

	if (address.devfn + VF_FIRST_OFFSET + gpu->board->vfs > 256)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "spec: the %llu virtual functions of %s leave its bus",
			       (unsigned long long)gpu->board->vfs, BDF_STR(address));
	for (uint32_t i = 0; i < gpu->board->vfs; i++) {
		struct bdf vf = address;

		vf.devfn = (uint8_t)(address.devfn + VF_FIRST_OFFSET + i);
		if (host_add_function(host, gpu, FUNCTION_VIRTUAL, vf, NULL, &function, err) < 0)
			return -1;
		function->vf_number = i;
	}
	return 0;
}

/* What the board cannot do as wanted. */
static int mode_check(const struct spec_gpu *wanted, const struct board *board, struct err *err)
{
	if (wanted->mode != SPEC_MDEV && wanted->mode != SPEC_VENDOR)
		return 0;
	if (board->type_count == 0)
		return err_set(err, ERR_INVALID_ARGUMENT, "spec: board '%s' has no vGPU types",
			       wanted->board);
	if (wanted->mode == SPEC_MDEV)
		return 0;
	if (board->vfs == 0 || board->vendor_dir[0] == '\0')
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "spec: board '%s' has no virtual functions with a vendor-dir",
			       wanted->board);
	for (size_t i = 0; i < board->type_count; i++)
		if (board->types[i].id[strspn(board->types[i].id, "0123456789")] != '\0')
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "spec: board '%s' has types whose id is no number",
				       wanted->board);
	return 0;
}

static enum spec_mode mode_of(const struct spec_gpu *wanted, const struct board *board)
{
	if (wanted->mode != SPEC_DEFAULT)
		return wanted->mode;
	return board->type_count > 0 ? SPEC_MDEV : SPEC_PASSTHROUGH;
}

static int host_add_audio(struct host *host, struct gpu *gpu, struct bdf address, struct err *err)
{
	struct function *function;

	if (gpu->board->audio_vendor == 0)
		return 0;
	address.devfn++;
	return host_add_function(host, gpu, FUNCTION_AUDIO, address, gpu->physical->group,
				 &function, err);
}

static int host_add_gpu(struct host *host, const char *boards_dir, const struct spec_gpu *wanted,
			struct bdf address, struct err *err)
{
	size_t first = host->function_count;
	struct gpu *gpu = &host->gpus[host->gpu_count];
	int numa_node = address.bus < 0x80 ? 0 : 1;

	if (host_load_board(host, boards_dir, wanted->board, &gpu->board, err) < 0 ||
	    mode_check(wanted, gpu->board, err) < 0)
		return -1;
	gpu->mode = mode_of(wanted, gpu->board);
	gpu->has_plain_list = wanted->has_plain_list;
	host->gpu_count++;
	if (host_add_function(host, gpu, FUNCTION_PHYSICAL, address,
			      wanted->joins_group ? gpu[-1].physical->group : NULL, &gpu->physical,
			      err) < 0)
		return -1;
	if (gpu->mode != SPEC_PASSTHROUGH && host_add_vfs(host, gpu, address, err) < 0)
		return -1;
	if (gpu->mode == SPEC_PASSTHROUGH && host_add_audio(host, gpu, address, err) < 0)
		return -1;
	if (wanted->has_numa_node)
		numa_node = wanted->numa_node;
	for (size_t i = first; i < host->function_count; i++)
		host->functions[i].numa_node = numa_node;
	(void)hotplug_add(host, gpu->physical);
	return 0;
}

static bool spec_has_bus(const struct spec *spec, uint8_t bus)
{
	for (size_t i = 0; i < spec->gpu_count; i++)
		if (spec->gpus[i].has_address && spec->gpus[i].address.domain == 0 &&
		    spec->gpus[i].address.bus == bus)
			return true;
	return false;
}

static int host_add_gpus(struct host *host, const struct spec *spec, const char *boards_dir,
			 struct err *err)
{
	size_t next = 0;

	for (size_t i = 0; i < spec->gpu_count; i++) {
		struct bdf address = spec->gpus[i].address;

		if (!spec->gpus[i].has_address) {
			while (spec_has_bus(spec, default_buses[next]))
				next++;
			address = (struct bdf){ .bus = default_buses[next++] };
		}
		if (host_add_gpu(host, boards_dir, &spec->gpus[i], address, err) < 0)
			return -1;
	}
	return 0;
}

int host_new(const struct spec *spec, const char *boards_dir, struct host **ret, struct err *err)
{
	scoped(host_free) struct host *host = calloc(1, sizeof(*host));

	if (!host)
		return err_sys(err, ENOMEM, "cannot make a host");
	host->uevents = UEVENT_SENDER_NONE;
	host->boards = calloc(spec->gpu_count, sizeof(*host->boards));
	host->gpus = calloc(spec->gpu_count, sizeof(*host->gpus));
	host->buses = calloc(spec->gpu_count, sizeof(*host->buses));
	host->functions =
		calloc(spec->gpu_count * HOST_GPU_FUNCTIONS_MAX, sizeof(*host->functions));
	if (!host->boards || !host->gpus || !host->buses || !host->functions)
		return err_sys(err, ENOMEM, "cannot make a host of %zu GPUs", spec->gpu_count);
	host->boot_time = time(NULL);
	(void)driver_add(host->drivers, &host->driver_count, DRIVER_VFIO_PCI);
	if (host_add_gpus(host, spec, boards_dir, err) < 0)
		return -1;
	host->events.next = 0; /* nobody could have seen them */
	*ret = TAKE_PTR(host);
	return 0;
}

void host_free(struct host *host)
{
	struct mdev *mdev;

	if (!host)
		return;
	while ((mdev = host->mdevs) != NULL) {
		host->mdevs = mdev->next;
		free(mdev);
	}
	late_free_all(host);
	uevent_sender_close(&host->uevents);
	for (size_t i = 0; i < host->group_slots; i++)
		free(host->groups[i]);
	for (size_t i = 0; i < host->board_count; i++)
		board_free(host->boards[i]);
	free(host->groups);
	free(host->boards);
	free(host->gpus);
	free(host->buses);
	free(host->functions);
	free(host);
}

int64_t host_now_ms(const struct host *host)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + host->clock_ahead_ms + 1;
}

struct function *host_find_slot(const struct host *host, struct bdf address)
{
	for (size_t i = 0; i < host->function_count; i++)
		if (bdf_is_equal(host->functions[i].address, address))
			return &host->functions[i];
	return NULL;
}

struct function *host_find_function(const struct host *host, struct bdf address)
{
	struct function *function = host_find_slot(host, address);

	return function && !function->is_absent ? function : NULL;
}

struct mdev *host_find_mdev(const struct host *host, uint32_t serial)
{
	for (struct mdev *mdev = host->mdevs; mdev; mdev = mdev->next)
		if (mdev->serial == serial)
			return mdev;
	return NULL;
}

struct mdev *host_find_uuid(const struct host *host, const char *uuid)
{
	for (struct mdev *mdev = host->mdevs; mdev; mdev = mdev->next)
		if (strcmp(mdev->uuid, uuid) == 0)
			return mdev;
	return NULL;
}

const char *host_find_driver(const struct host *host, const char *name)
{
	for (size_t i = 0; i < host->driver_count; i++)
		if (strcmp(host->drivers[i], name) == 0)
			return host->drivers[i];
	return NULL;
}

bool gpu_has_node(const struct gpu *gpu)
{
	const struct function *physical = gpu->physical;

	return gpu->board->node[0] != '\0' && physical->driver &&
	       physical->driver == physical->default_driver;
}

struct gpu *host_find_node(const struct host *host, uint32_t minor)
{
	for (size_t i = 0; i < host->gpu_count; i++)
		if (gpu_has_node(&host->gpus[i]) && host->gpus[i].node_minor == minor)
			return &host->gpus[i];
	return NULL;
}

uint32_t host_free_node_minor(const struct host *host)
{
	uint32_t minor = 0;

	while (host_find_node(host, minor))
		minor++;
	return minor;
}

bool host_has_mdev(const struct host *host)
{
	for (size_t i = 0; i < host->gpu_count; i++)
		if (host->gpus[i].mode == SPEC_MDEV)
			return true;
	return false;
}

uint32_t host_free_vfio_number(const struct host *host)
{
	bool taken[VFIO_NUMBERS] = { false };
	uint32_t number = 0;

	for (const struct mdev *mdev = host->mdevs; mdev; mdev = mdev->next)
		taken[mdev->vfio_number] = true;
	for (size_t i = 0; i < host->function_count; i++)
		if (driver_is_vfio(&host->functions[i]))
			taken[host->functions[i].vfio_number] = true;
	while (taken[number])
		number++;
	return number;
}

bool function_is_mdev_parent(const struct function *function)
{
	const struct gpu *gpu = function->gpu;
	enum function_kind kind = gpu->board->vfs > 0 ? FUNCTION_VIRTUAL : FUNCTION_PHYSICAL;

	return gpu->mode == SPEC_MDEV && function->kind == kind && !function->is_absent &&
	       !function->is_unbinding && !gpu->physical->is_unbinding && function->driver &&
	       function->driver == function->default_driver;
}

bool function_is_vendor_vf(const struct function *function)
{
	return function->gpu->mode == SPEC_VENDOR && function->kind == FUNCTION_VIRTUAL &&
	       function->driver && function->driver == function->default_driver;
}

bool function_is_over(const struct function *function, const struct function *parent)
{
	return parent == function ||
	       (function->kind == FUNCTION_PHYSICAL && parent->gpu == function->gpu &&
		parent->kind == FUNCTION_VIRTUAL);
}

struct function_path function_path(const struct function *function)
{
	struct function_path path;

	snprintf(path.s, sizeof(path.s), "/devices/pci%04x:%02x/%s", function->address.domain,
		 function->address.bus, BDF_STR(function->address));
	return path;
}
