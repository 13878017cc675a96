/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model: GPUs, PCI functions, vGPUs and IOMMU groups as plain values that other files
 * change by the rules of the kernel (driver.h, group.h) and of NVIDIA's driver (mdev.h).
 * The tree (tree.h) shows it as files. It knows nothing of FUSE.
 *
 * Touched by one thread. An operation that the kernel would block in does not block here:
 * it returns HOST_PENDING and calls the waiter when it is over.
 *
 * Functions are made once and live as long as the host, though they can be absent (unplugged,
 * or a virtual function that is not enabled); vGPUs and groups come and go.
 */

#ifndef SIMHOST_HOST_H
#define SIMHOST_HOST_H

#include <stdio.h>
#include <sys/types.h>
#include <time.h>

#include "bdf.h"
#include "board.h"
#include "event.h"
#include "fault.h"
#include "spec.h"
#include "uevent.h"

#define HOST_PENDING	       1 /* beside 0 and -errno: the waiter will be called */
#define HOST_UUID_SIZE	       37
#define HOST_PARAMS_SIZE       1024 /* of vgpu_params */
#define HOST_COMMAND_SIZE      16
#define HOST_DRIVERS_MAX       16
#define HOST_NEW_IDS_MAX       16
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
	bool is_held; /* the node is open, or not wholly closed yet */
	struct process holder;
	int64_t closed_at;     /* of host_now_ms(), while the close goes on; else 0 */
	uint32_t device_count; /* that are present: without any, the group is not shown */
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
	struct waiter *remover; /* still in write(remove); NULL: whoever wrote does not wait */
	struct process removing_process;
	char params[HOST_PARAMS_SIZE];
};

/* One physical GPU: what its vGPUs share. */
struct gpu {
	const struct board *board; /* borrowed from the host */
	struct function *physical; /* borrowed from the host */
	enum spec_mode mode;	   /* never SPEC_DEFAULT */
	bool has_plain_list;	   /* creatable_vgpu_types has no header */
	uint64_t used_mb;
	uint64_t size_mb; /* of the latest vGPU; means nothing while there is none */
	uint32_t vgpu_count;
	uint32_t type_counts[BOARD_TYPES_MAX];
	uint32_t node_minor;	/* N of /dev/nvidiaN, while its driver has it */
	uint32_t node_serial;	/* another one each time the node appears */
	uint32_t node_opens;	/* how often that is open */
	uint32_t control_opens; /* so many of these by the control file */
};

enum function_kind {
	FUNCTION_PHYSICAL,
	FUNCTION_VIRTUAL,
	FUNCTION_AUDIO,
};

/* What the vendor's VFIO framework knows of a virtual function. */
struct vendor_vgpu {
	const struct board_type *type; /* borrowed from the board; NULL: none */
	uint32_t placement;	       /* how many of its size lie before it */
	char params[HOST_PARAMS_SIZE];
	struct waiter *destroyer; /* still in write(current_vgpu_type): its manager lives */
	int64_t destroy_deadline; /* of host_now_ms() */
};

struct function {
	uint32_t index;
	struct bdf address;
	enum function_kind kind;
	struct gpu *gpu; /* borrowed from the host */
	bool is_absent;
	uint32_t vf_number;
	uint32_t mdev_count;
	struct vendor_vgpu vgpu;
	int numa_node;
	uint32_t bus_index;	    /* in host->buses */
	struct group *group;	    /* borrowed from the host */
	const char *driver;	    /* borrowed from host->drivers; NULL: none */
	const char *default_driver; /* likewise */
	char override[BOARD_WORD_SIZE];
	uint32_t vfio_number; /* while a VFIO driver has it */
	bool is_unbinding;    /* its driver lets go when nobody holds it back */
	struct process unbinding_process;
	struct waiter *unbinder;
	char reset_method[BOARD_WORD_SIZE];
	uint32_t reset_count;
	struct faults faults;
};

struct bus {
	uint32_t domain;
	uint8_t number;
};

/* What was written to a driver's new_id. */
struct new_id {
	const char *driver; /* borrowed from host->drivers */
	uint64_t vendor, device;
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
	size_t new_id_count;
	struct new_id new_ids[HOST_NEW_IDS_MAX];
	size_t group_slots;
	struct group **groups;		/* owned; by number, NULL where there is none */
	struct mdev *mdevs;		/* owned */
	struct late_write *late_writes; /* owned: late.h */
	struct path_fault *path_faults; /* owned: late.h */
	struct event_log events;
	struct uevent_sender uevents; /* owned */
	uint32_t last_mdev_serial;
	uint32_t last_node_serial;
	int64_t clock_ahead_ms; /* tests set it to let time pass */
	time_t boot_time;
};

int host_new(const struct spec *spec, const char *boards_dir, struct host **ret, struct err *err);

/* Waiters that are left are forgotten, not called. */
void host_free(struct host *host);

SCOPED_DEFINE(struct host *, host_free);

/* Milliseconds from some point in the past; never 0. */
int64_t host_now_ms(const struct host *host);

/* Each is borrowed, and NULL if there is none. Absent functions are not found... */
struct function *host_find_function(const struct host *host, struct bdf address);
/* ...but here they are. */
struct function *host_find_slot(const struct host *host, struct bdf address);
struct mdev *host_find_mdev(const struct host *host, uint32_t serial);
struct mdev *host_find_uuid(const struct host *host, const char *uuid);
const char *host_find_driver(const struct host *host, const char *name);

/* The GPU whose node is /dev/nvidiaN. */
struct gpu *host_find_node(const struct host *host, uint32_t minor);
bool gpu_has_node(const struct gpu *gpu);

/* A GPU that can have vGPUs as mediated devices; an unplugged one counts. */
bool host_has_mdev(const struct host *host);

/* The lowest N that no vfio-dev/vfioN, or no /dev/nvidiaN, has. */
uint32_t host_free_vfio_number(const struct host *host);
uint32_t host_free_node_minor(const struct host *host);

/* The function is one whose types can be created now, as mediated devices... */
bool function_is_mdev_parent(const struct function *function);
/* ...or by writing to its nvidia/current_vgpu_type. */
bool function_is_vendor_vf(const struct function *function);

/* parent is function itself, or one of its virtual functions. */
bool function_is_over(const struct function *function, const struct function *parent);

/* "/devices/pci0000:41/0000:41:00.4", as events name it. */
struct function_path {
	char s[64];
};
struct function_path function_path(const struct function *function);

#endif
