/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model: GPUs, PCI functions, vGPUs and IOMMU groups as plain values that other files
 * change by the rules of the kernel (driver.h, group.h) and of NVIDIA's driver (mdev.h).
 * The tree (tree.h) shows it as files. It knows nothing of FUSE.
 *
 * Touched by one thread. An operation that the kernel would block in does not block here:
 * it returns HOST_PENDING and calls the waiter when it is over.
 *
 * Functions are made once and live as long as the host; vGPUs and groups come and go.
 */

#ifndef SIMHOST_HOST_H
#define SIMHOST_HOST_H

#include <stdio.h>
#include <sys/types.h>
#include <time.h>

#include "bdf.h"
#include "board.h"
#include "spec.h"

#define HOST_PENDING	       1 /* beside 0 and -errno: the waiter will be called */
#define HOST_UUID_SIZE	       37
#define HOST_PARAMS_SIZE       1024 /* of vgpu_params */
#define HOST_COMMAND_SIZE      16
#define HOST_DRIVERS_MAX       16
#define HOST_GPU_FUNCTIONS_MAX 129 /* of one GPU: the physical one and 128 virtual ones */

/* Somebody whose write(2) is not over. Owned by the caller; done() is called once. */
struct waiter {
	void (*done)(struct waiter *waiter, int result); /* 0 or -errno */
};

/* A process, as far as rules ask: thread group and name. 0 is the control file. */
struct process {
	pid_t id;
	char command[HOST_COMMAND_SIZE];
};

struct host;
struct function;

/* An IOMMU group and, while a VFIO driver has one of its devices, its node in /dev/vfio. */
struct group {
	uint32_t number;
	uint32_t vfio_users;  /* devices with a VFIO driver; the node exists while not 0 */
	uint32_t node_serial; /* another one each time the node appears */
	mode_t node_mode;
	uid_t node_uid;
	gid_t node_gid;
	time_t node_time;
	bool is_held; /* the node is open */
	struct process holder;
};

enum mdev_state {
	MDEV_LIVE,
	MDEV_REMOVING, /* only its directory, iommu_group and vfio-dev remain */
};

struct mdev {
	struct mdev *next;
	uint32_t serial; /* never 0, not used again */
	char uuid[HOST_UUID_SIZE];
	struct function *parent;       /* borrowed from the host */
	const struct board_type *type; /* borrowed from the board */
	struct group *group;	       /* owned */
	uint32_t vfio_number;
	enum mdev_state state;
	struct waiter *creator; /* still in write(create): a fault holds it */
	struct waiter *remover; /* still in write(remove) */
	char params[HOST_PARAMS_SIZE];
};

/* One physical GPU: what its vGPUs share. */
struct gpu {
	const struct board *board; /* borrowed from the host */
	struct function *physical; /* borrowed from the host */
	bool has_mdev;
	uint64_t used_mb;
	uint64_t size_mb; /* of the latest vGPU; means nothing while there is none */
	uint32_t mdev_count;
	uint32_t type_counts[BOARD_TYPES_MAX];
};

enum function_kind {
	FUNCTION_PHYSICAL,
	FUNCTION_VIRTUAL,
	FUNCTION_AUDIO,
};

struct faults {
	bool create_hang;	 /* after the vGPU exists */
	bool create_hang_before; /* before it does */
	bool remove_hang;
	uint32_t create_eio; /* so many creates fail */
};

struct function {
	uint32_t index;
	struct bdf address;
	enum function_kind kind;
	struct gpu *gpu; /* borrowed from the host */
	uint32_t vf_number;
	uint32_t mdev_count;
	int numa_node;
	uint32_t bus_index;	    /* in host->buses */
	struct group *group;	    /* borrowed from the host */
	const char *driver;	    /* borrowed from host->drivers; NULL: none */
	const char *default_driver; /* likewise */
	char override[BOARD_WORD_SIZE];
	uint32_t vfio_number; /* while vfio-pci has it */
	bool is_unbinding;    /* vfio-pci lets go when the holder does */
	struct waiter *unbinder;
	uint32_t reset_count;
	struct faults faults;
};

struct bus {
	uint32_t domain;
	uint8_t number;
};

/* A create that create-hang-before keeps. */
struct late_create {
	struct late_create *next;
	struct function *parent;
	const struct board_type *type;
	char uuid[HOST_UUID_SIZE];
	struct waiter *waiter;
};

struct host {
	size_t board_count;
	struct board **boards; /* owned */
	size_t gpu_count;
	struct gpu *gpus; /* owned */
	size_t function_count;
	struct function *functions; /* owned */
	size_t bus_count;
	struct bus *buses; /* owned */
	size_t driver_count;
	char drivers[HOST_DRIVERS_MAX][BOARD_WORD_SIZE];
	size_t mdev_driver_count;
	char mdev_drivers[HOST_DRIVERS_MAX][BOARD_WORD_SIZE];
	size_t group_slots;
	struct group **groups;		  /* owned; by number, NULL where there is none */
	struct mdev *mdevs;		  /* owned */
	struct late_create *late_creates; /* owned */
	uint32_t last_mdev_serial;
	uint32_t last_node_serial;
	time_t boot_time;
};

int host_new(const struct spec *spec, const char *boards_dir, struct host **ret, struct err *err);

/* Waiters that are left are forgotten, not called. */
void host_free(struct host *host);

SCOPED_DEFINE(struct host *, host_free);

/* Borrowed; NULL if there is none. */
struct function *host_find_function(struct host *host, struct bdf address);
struct mdev *host_find_mdev(const struct host *host, uint32_t serial);
struct mdev *host_find_uuid(const struct host *host, const char *uuid);
const char *host_find_driver(const struct host *host, const char *name);

bool host_has_mdev(const struct host *host);

/* The lowest N that no vfio-dev/vfioN has. */
uint32_t host_free_vfio_number(const struct host *host);

/* The function is one whose types can be created now. */
bool function_is_mdev_parent(const struct function *function);

#endif
