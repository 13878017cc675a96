/* SPDX-License-Identifier: Apache-2.0 */
#include "host.h"

#include <errno.h>
#include <string.h>

#include "driver.h"
#include "group.h"

#define VF_FIRST_OFFSET 4 /* NVIDIA: sriov_offset 4, sriov_stride 1 */
#define AUDIO_DRIVER	"snd_hda_intel"

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

	if (host_find_function(host, address))
		return err_set(err, ERR_INVALID_ARGUMENT, "spec: two functions at %s",
			       BDF_STR(address));
	if (!group && !(group = group_new(host)))
		return err_sys(err, ENOMEM, "cannot add %s", BDF_STR(address));
	*function = (struct function){
		.index = (uint32_t)host->function_count,
		.address = address,
		.kind = kind,
		.gpu = gpu,
		.numa_node = address.bus < 0x80 ? 0 : 1,
		.bus_index = host_add_bus(host, address),
		.group = group,
		.default_driver = host_find_driver(
			host, kind == FUNCTION_AUDIO ? AUDIO_DRIVER : gpu->board->driver),
	};
	function->driver = function->default_driver;
	host->function_count++;
	if (ret)
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

static int host_add_gpu(struct host *host, const char *boards_dir, const struct spec_gpu *wanted,
			struct bdf address, struct err *err)
{
	struct gpu *gpu = &host->gpus[host->gpu_count];

	if (host_load_board(host, boards_dir, wanted->board, &gpu->board, err) < 0)
		return -1;
	if (wanted->mode == SPEC_MDEV && gpu->board->type_count == 0)
		return err_set(err, ERR_INVALID_ARGUMENT, "spec: board '%s' has no vGPU types",
			       wanted->board);
	gpu->has_mdev = wanted->mode != SPEC_PASSTHROUGH && gpu->board->type_count > 0;
	host->gpu_count++;
	if (host_add_function(host, gpu, FUNCTION_PHYSICAL, address, NULL, &gpu->physical, err) < 0)
		return -1;
	if (gpu->has_mdev)
		return host_add_vfs(host, gpu, address, err);
	if (gpu->board->audio_vendor == 0)
		return 0;
	address.devfn++;
	return host_add_function(host, gpu, FUNCTION_AUDIO, address, gpu->physical->group, NULL,
				 err);
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
	*ret = TAKE_PTR(host);
	return 0;
}

void host_free(struct host *host)
{
	struct late_create *late;
	struct mdev *mdev;

	if (!host)
		return;
	while ((mdev = host->mdevs) != NULL) {
		host->mdevs = mdev->next;
		free(mdev);
	}
	while ((late = host->late_creates) != NULL) {
		host->late_creates = late->next;
		free(late);
	}
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

struct function *host_find_function(struct host *host, struct bdf address)
{
	for (size_t i = 0; i < host->function_count; i++)
		if (bdf_is_equal(host->functions[i].address, address))
			return &host->functions[i];
	return NULL;
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

bool host_has_mdev(const struct host *host)
{
	for (size_t i = 0; i < host->gpu_count; i++)
		if (host->gpus[i].has_mdev)
			return true;
	return false;
}

static bool vfio_number_is_taken(const struct host *host, uint32_t number)
{
	for (const struct mdev *mdev = host->mdevs; mdev; mdev = mdev->next)
		if (mdev->vfio_number == number)
			return true;
	for (size_t i = 0; i < host->function_count; i++)
		if (driver_is_vfio(&host->functions[i]) && host->functions[i].vfio_number == number)
			return true;
	return false;
}

uint32_t host_free_vfio_number(const struct host *host)
{
	uint32_t number = 0;

	while (vfio_number_is_taken(host, number))
		number++;
	return number;
}

bool function_is_mdev_parent(const struct function *function)
{
	const struct gpu *gpu = function->gpu;
	enum function_kind kind = gpu->board->vfs > 0 ? FUNCTION_VIRTUAL : FUNCTION_PHYSICAL;

	return gpu->has_mdev && function->kind == kind && !function->is_unbinding &&
	       function->driver == function->default_driver;
}
