/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What crosses the line between gpu-agent-serve (no privilege) and the root side: fixed
 * size structs on SOCK_SEQPACKET sockets, one struct a packet. There is no parser; a
 * packet of another size or with an unknown kind is refused.
 *
 *   serve -> monitor   struct monitor_request: "a worker, please"
 *   monitor -> serve   struct monitor_reply, with one end of the worker's socket attached
 *   serve -> worker    struct op_request, once
 *   worker -> serve    any number of struct op_record (scans, holders), then one struct op_result
 *
 * The worker exits after its result. serve waits for it until its own deadline, then closes
 * its end and asks the monitor to give the worker up. The monitor kills it; one that does
 * not die (state D) counts as stuck. With OPS_STUCK_MAX stuck workers the monitor answers
 * MONITOR_TOO_MANY_STUCK.
 *
 * The worker trusts nothing here: it checks every request against root-owned policy (which
 * classes and vendors may be touched, which gids may be granted) and, before it removes or
 * revokes, against root's journal of what root made (monitor/journal.h).
 */

#ifndef GPU_AGENT_OPS_H
#define GPU_AGENT_OPS_H

#include <stdint.h>

#include "common/pci_addr.h"

#define OPS_VERSION	  1
#define OPS_STUCK_MAX	  8
#define OPS_WORKERS_MAX	  32 /* at once, stuck ones included */
#define OPS_TYPE_MAX	  64 /* "nvidia-1147", "i915-GVTg_V5_4" */
#define OPS_NAME_MAX	  64
#define OPS_DRIVER_MAX	  32
#define OPS_MESSAGE_MAX	  256
#define OPS_UUID_SIZE	  37 /* lower case, with the NUL */
#define OPS_NO_GROUP	  UINT32_MAX
#define OPS_UNKNOWN_CLASS UINT32_MAX
#define OPS_UNKNOWN	  INT32_MIN /* a value that could not be read: never "zero" */
#define OPS_SERVE_FD	  3	    /* where gpu-agent-serve finds its socket to the monitor */

/* ---- serve <-> monitor --------------------------------------------------------- */

enum monitor_request_kind {
	MONITOR_START_WORKER = 1,
	MONITOR_GIVE_UP_WORKER = 2, /* worker_id: kill it, count it as stuck until it is gone */
};

struct monitor_request {
	uint32_t version;
	uint32_t kind;
	uint64_t worker_id;
};

enum monitor_reply_kind {
	MONITOR_WORKER_STARTED = 1, /* one descriptor attached */
	MONITOR_TOO_MANY_STUCK = 2,
	MONITOR_TOO_MANY_WORKERS = 3,
	MONITOR_FAILED = 4, /* error: of fork or socketpair; EINVAL: a malformed request */
};

/* The answer to MONITOR_START_WORKER; MONITOR_GIVE_UP_WORKER has none. */
struct monitor_reply {
	uint32_t version;
	uint32_t kind;
	uint64_t worker_id;
	int32_t error;
	uint32_t stuck_workers; /* now */
};

/* ---- serve -> worker ----------------------------------------------------------- */

enum op_kind {
	OP_SCAN = 1, /* the inventory of this host, as records */
	OP_CREATE_MDEV =
		2, /* uuid, parent, type: journal, create, read back; OP_RECORD_MDEV on success */
	OP_REMOVE_MDEV =
		3, /* uuid, parent: only what the journal says is ours and nobody holds open */
	OP_GRANT_NODE = 4,   /* uuid, gid: node becomes root:gid 0660, read back after it settled */
	OP_REVOKE_NODE = 5,  /* uuid: node becomes root:root 0600 without ACL */
	OP_FIND_HOLDERS = 6, /* uuid: processes that have its node open, as records */
};

struct op_request {
	uint32_t version;
	uint32_t kind;
	char uuid[OPS_UUID_SIZE];
	char type[OPS_TYPE_MAX];
	struct pci_addr parent; /* OP_SCAN: ignored */
	uint32_t gid;
};

/* ---- worker -> serve ----------------------------------------------------------- */

enum op_record_kind {
	OP_RECORD_PCI = 1,
	OP_RECORD_MDEV_TYPE = 2,
	OP_RECORD_MDEV = 3,
	OP_RECORD_HOLDER = 4,
};

/*
 * A PCI function that may matter: display controllers (class 0x03), their virtual functions,
 * and every parent of /sys/class/mdev_bus.
 */
struct op_pci {
	struct pci_addr address;
	struct pci_addr physfn; /* of a virtual function */
	uint8_t is_virtual;
	uint8_t is_mdev_parent;
	uint8_t is_boot_display;
	uint8_t has_vendor_vfio; /* nvidia/creatable_vgpu_types exists */
	uint8_t incomplete; /* a read failed: what is here may lack something, so offer nothing */
	uint16_t vendor, device, subsystem_vendor, subsystem_device;
	uint32_t class_code;		    /* 0x030200; OPS_UNKNOWN_CLASS */
	int32_t numa_node;		    /* -1: none; OPS_UNKNOWN */
	int32_t sriov_total, sriov_enabled; /* physical functions; 0 without SR-IOV; OPS_UNKNOWN */
	uint32_t iommu_group;		    /* OPS_NO_GROUP */
	char driver[OPS_DRIVER_MAX];	    /* empty: none */
	char name[OPS_NAME_MAX];	    /* "NVIDIA L40S"; physical functions only */
};

/* One entry of a parent's mdev_supported_types. */
struct op_mdev_type {
	struct pci_addr parent;
	char type[OPS_TYPE_MAX]; /* directory name */
	char name[OPS_NAME_MAX]; /* "NVIDIA L40S-1Q"; empty: no name file */
	int32_t framebuffer_mb;	 /* from description; OPS_UNKNOWN */
	int32_t max_instance;	 /* from description; OPS_UNKNOWN */
	int32_t available;	 /* available_instances; OPS_UNKNOWN */
};

struct op_mdev {
	char uuid[OPS_UUID_SIZE];
	char type[OPS_TYPE_MAX];
	struct pci_addr parent;
	uint32_t iommu_group; /* OPS_NO_GROUP: no driver bound */
	uint8_t in_journal;   /* root made it */
	uint8_t half_removed; /* seen under its parent only: a remove waits for its holder */
};

/*
 * certain 0: the process holds some VFIO device, and the kernel does not say which (a device
 * descriptor alone, before Linux 6.18). Only sent when nobody is known to hold ours.
 */
struct op_holder {
	int32_t pid;
	uint32_t uid;
	uint8_t certain;
	char command[OPS_NAME_MAX];
};

struct op_record {
	uint32_t version;
	uint32_t kind;
	union {
		struct op_pci pci;
		struct op_mdev_type mdev_type;
		struct op_mdev mdev;
		struct op_holder holder;
	};
};

enum op_status {
	OP_OK = 0,
	OP_REFUSED = 1,	   /* policy or journal says no; nothing was touched */
	OP_NOT_FOUND = 2,  /* no such device, parent or type (remove: it is gone already) */
	OP_IN_USE = 3,	   /* somebody holds the node open; holders came as records */
	OP_EXISTS = 4,	   /* the UUID exists */
	OP_KERNEL = 5,	   /* the kernel refused: error is its errno; the state was read back and is
			      unchanged */
	OP_UNVERIFIED = 6, /* the kernel said yes, reading back says otherwise */
	OP_INVALID = 7,	   /* a malformed request */
	OP_FAILED = 8,	   /* before the kernel was touched: journal, memory; error is an errno */
};

struct op_result {
	uint32_t version;
	uint32_t status;
	int32_t error;
	uint32_t records; /* sent before this: fewer arrived means the scan is not whole */
	char message[OPS_MESSAGE_MAX]; /* for people: names the object */
};

#endif
