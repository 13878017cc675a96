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
 * classes, vendors and addresses may be touched, which gids may be granted) and, before it
 * removes, restores or revokes, against root's journal of what root made (monitor/journal.h).
 */

#ifndef GPU_AGENT_OPS_H
#define GPU_AGENT_OPS_H

#include <stdint.h>

#include "common/pci_addr.h"

#define OPS_VERSION	  3
#define OPS_STUCK_MAX	  8
#define OPS_WORKERS_MAX	  32 /* at once, stuck ones included */
#define OPS_TYPE_MAX	  64 /* "nvidia-1147", "i915-GVTg_V5_4" */
#define OPS_NAME_MAX	  64
#define OPS_DRIVER_MAX	  32
#define OPS_MESSAGE_MAX	  256
#define OPS_RESET_MAX	  32 /* "flr bus" */
#define OPS_FINDING_MAX	  192
#define OPS_GPUS_MAX	  32 /* in one request */
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

/*
 * The answer to MONITOR_START_WORKER; MONITOR_GIVE_UP_WORKER has none. Worker ids only grow, from
 * 1 on, as long as the monitor lives.
 */
struct monitor_reply {
	uint32_t version;
	uint32_t kind;
	uint64_t worker_id;
	int32_t error;
	uint32_t stuck_workers;		 /* that were given up and are not gone yet: */
	uint64_t stuck[OPS_WORKERS_MAX]; /* so many ids */
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

	/*
	 * uuid is the allocation's id here: such a device has no UUID of its own, so root's
	 * journal knows it by that one. Grant, revoke and find holders take it likewise.
	 */
	OP_SET_VENDOR_TYPE = 7,	  /* uuid, parent (the virtual function), vendor_type: journal,
				     write, read back; OP_RECORD_VENDOR_VF on success */
	OP_CLEAR_VENDOR_TYPE = 8, /* uuid, parent: only the type that root set and nobody uses;
				     may be tried again while the driver says EBUSY */
	OP_BIND_VFIO = 9,	  /* uuid, parent (function 0 of a GPU, or wherever its display
				     controller is): all of its slot goes to vfio-pci, or nothing;
				     OP_RECORD_BINDING on success */
	OP_RESTORE_DRIVER = 10,	  /* uuid, parent: each function of a binding of ours gets exactly
				     the driver it had; also undoes a bind that was killed */
	OP_RESET = 11,		  /* uuid, parent: of a binding of ours that nobody uses */

	OP_FIND_GPU_HOLDERS = 12, /* scope: processes that use a GPU through its host driver */
	OP_CHECK_HOST = 13,	  /* is this host ready? OP_RECORD_FINDING each */
};

/*
 * For OP_SCAN, OP_FIND_GPU_HOLDERS and, among GPUs that hang, OP_BIND_VFIO. A GPU is named by its
 * physical function, and stands for its virtual functions too. GPUs that are left out are not
 * touched by any call that can hang.
 */
enum op_scope {
	OP_SCOPE_ALL = 0,
	OP_SCOPE_ONLY = 1,   /* gpus[] */
	OP_SCOPE_EXCEPT = 2, /* all but gpus[] */
};

struct op_request {
	uint32_t version;
	uint32_t kind;
	char uuid[OPS_UUID_SIZE];
	char type[OPS_TYPE_MAX];
	struct pci_addr parent; /* OP_SCAN: ignored */
	uint32_t gid;
	uint32_t vendor_type; /* an id of creatable_vgpu_types; never 0 */
	uint32_t scope;
	uint32_t gpu_count;
	struct pci_addr gpus[OPS_GPUS_MAX];
};

/* ---- worker -> serve ----------------------------------------------------------- */

enum op_record_kind {
	OP_RECORD_PCI = 1,
	OP_RECORD_MDEV_TYPE = 2,
	OP_RECORD_MDEV = 3,
	OP_RECORD_HOLDER = 4,
	OP_RECORD_VENDOR_VF = 5,
	OP_RECORD_VENDOR_TYPE = 6, /* after the function that lists it */
	OP_RECORD_GROUP_MEMBER = 7,
	OP_RECORD_BINDING = 8,
	OP_RECORD_FINDING = 9,
	OP_RECORD_SCANNING = 10,
};

/* Why not, for machines. */
enum op_reason {
	OP_REASON_NONE = 0,
	OP_REASON_POLICY = 1,	    /* root's configuration: vendor, class, address */
	OP_REASON_BOOT_DISPLAY = 2, /* the firmware's display, and allow-boot-display is not set */
	OP_REASON_NO_GROUP = 3,	    /* no IOMMU group: the IOMMU is off */
	OP_REASON_GROUP = 4,	    /* the group holds an endpoint that cannot be moved along */
	OP_REASON_VFS = 5,	    /* its virtual functions are enabled, or it has vGPUs */
	OP_REASON_NVSWITCH = 6,	    /* needs Fabric Manager partitions, which we do not manage */
	OP_REASON_FOREIGN = 7,	    /* a VFIO driver has it that root did not bind */
	OP_REASON_UNKNOWN = 8,	    /* a read failed: what cannot be known is not allowed */
	OP_REASON_JOURNAL = 9,	    /* root did not make, set or bind this */
	OP_REASON_HELD = 10,	    /* a process uses it */
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
	uint8_t has_vfio_dev;		    /* a VFIO driver has it, whatever that is called */
	uint8_t is_barred; /* root's configuration keeps us from changing it or what is below it */
	/*
	 * Physical functions: enum op_reason why OP_BIND_VFIO would be refused now, were nobody
	 * using it (OP_FIND_GPU_HOLDERS tells that); of one that is bound by us too.
	 */
	uint8_t bind_refusal;
	char reset_methods[OPS_RESET_MAX]; /* "flr bus"; empty: no reset */
};

/*
 * OP_SCAN is about to read files of this GPU, or of whatever this physical function is. A scan
 * that never ends hangs at the last one that it named. What it is comes in another record of the
 * kind, once it could be read: drivers hang sooner than the kernel's own files.
 */
struct op_scanning {
	struct pci_addr gpu;
	uint32_t class_code; /* OPS_UNKNOWN_CLASS: not read yet */
	uint16_t vendor, device;
	char name[OPS_NAME_MAX]; /* "NVIDIA L40S" */
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

/* A virtual function of the vendor VFIO framework. Its vGPU has no identity but this. */
struct op_vendor_vf {
	struct pci_addr address;
	int32_t current_type; /* 0: none; OPS_UNKNOWN */
	uint8_t list_known;   /* its OP_RECORD_VENDOR_TYPE are all it lists now */
	uint8_t in_journal; /* root set, or began to set, the type it has now; uuid says for whom */
	char uuid[OPS_UUID_SIZE];
};

/* One line of a function's creatable_vgpu_types. */
struct op_vendor_type {
	struct pci_addr address;
	uint32_t id;
	char name[OPS_NAME_MAX]; /* "NVIDIA L40S-1Q" */
};

enum op_member_role {
	OP_MEMBER_MOVES = 1,	/* a function of the GPU's slot: bound with it */
	OP_MEMBER_HARMLESS = 2, /* a bridge, or an endpoint without a driver */
	OP_MEMBER_IN_THE_WAY = 3,
};

/* What shares the IOMMU group of a physical GPU, the GPU itself included. */
struct op_group_member {
	struct pci_addr gpu;
	struct pci_addr address;
	uint32_t iommu_group;
	uint32_t class_code; /* OPS_UNKNOWN_CLASS */
	uint16_t vendor, device;
	uint32_t role;
	char driver[OPS_DRIVER_MAX];
};

/*
 * A GPU that root bound for whole-function passthrough, or began to: one for each that root's
 * journal has, also when the GPU is gone from the host.
 */
struct op_binding {
	char uuid[OPS_UUID_SIZE];
	struct pci_addr address;
	uint32_t iommu_group; /* OPS_NO_GROUP */
	uint8_t is_bound; /* each of its functions has its VFIO driver; else OP_RESTORE_DRIVER */
	uint8_t has_reset;
	uint32_t function_count;
	char driver[OPS_DRIVER_MAX]; /* that address had, and gets back; empty: none */
};

enum op_level {
	OP_LEVEL_PASS = 0,
	OP_LEVEL_WARN = 1,
	OP_LEVEL_FAIL = 2,
};

/* What OP_CHECK_HOST found out about one thing. */
struct op_finding {
	uint32_t level;
	char check[OPS_DRIVER_MAX];    /* a word for machines: "iommu" */
	char subject[OPS_DRIVER_MAX];  /* "0000:41:00.0"; empty: the host */
	char message[OPS_FINDING_MAX]; /* what is, for people */
	char fix[OPS_FINDING_MAX];     /* what to do; empty: nothing */
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
	struct pci_addr gpu; /* OP_FIND_GPU_HOLDERS, OP_BIND_VFIO: which one it uses */
};

struct op_record {
	uint32_t version;
	uint32_t kind;
	union {
		struct op_pci pci;
		struct op_mdev_type mdev_type;
		struct op_mdev mdev;
		struct op_holder holder;
		struct op_vendor_vf vendor_vf;
		struct op_vendor_type vendor_type;
		struct op_group_member group_member;
		struct op_binding binding;
		struct op_finding finding;
		struct op_scanning scanning;
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
	OP_UNSUPPORTED = 9, /* the device has no means of it (OP_RESET); nothing was touched */
};

struct op_result {
	uint32_t version;
	uint32_t status;
	int32_t error;
	uint32_t records; /* sent before this: fewer arrived means the scan is not whole */
	char message[OPS_MESSAGE_MAX]; /* for people: names the object */
	uint32_t reason;	       /* enum op_reason, where one fits */
};

#endif
