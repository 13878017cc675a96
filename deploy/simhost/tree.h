/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host as a tree of files.
 *
 * A node is a value: what it is (its kind, and which of the kind's entries) and which object
 * of the model it belongs to. It packs into a number that serves as FUSE's node id, so there is
 * no table of inodes to keep: a name is looked up in the model, and a node whose object is
 * gone is found to be gone when it is used. Numbers of vGPUs and device nodes are not used
 * again, so an old number never means a new object.
 *
 * Kinds are tables: tree_top.c (directories above devices), tree_dev.c (/dev and VFIO's class),
 * tree_pci.c, tree_function.c, tree_vendor.c, tree_mdev.c.
 */

#ifndef SIMHOST_TREE_H
#define SIMHOST_TREE_H

#include <stdint.h>
#include <sys/stat.h>

#include "host.h"

enum tree_kind_id {
	KIND_ROOT, /* first: its number is FUSE's root */
	KIND_SYS,
	KIND_BUS,
	KIND_CLASS,
	KIND_KERNEL,
	KIND_MODULE,
	KIND_MODULE_NVIDIA,
	KIND_DEVICES,
	KIND_BUS_PCI,
	KIND_BUS_PCI_DEVICES,
	KIND_BUS_PCI_DRIVERS,
	KIND_BUS_MDEV,
	KIND_BUS_MDEV_DEVICES,
	KIND_BUS_MDEV_DRIVERS,
	KIND_CLASS_MDEV_BUS,
	KIND_IOMMU_GROUPS,
	KIND_GROUP,
	KIND_GROUP_DEVICES,
	KIND_GROUP_FUNCTION_LINK,
	KIND_GROUP_MDEV_LINK,
	KIND_DEV,
	KIND_DEV_VFIO,
	KIND_DEV_NODE,
	KIND_DEV_GPU,
	KIND_CLASS_VFIO,
	KIND_CLASS_VFIO_LINK,
	KIND_DEVICES_VIRTUAL,
	KIND_VIRTUAL_VFIO,
	KIND_VIRTUAL_NODE,
	KIND_PCI_ROOT,
	KIND_PCI_DRIVER,
	KIND_PCI_DRIVER_LINK,
	KIND_PCI_LINK,
	KIND_CLASS_LINK,
	KIND_FUNCTION,
	KIND_FUNCTION_VF_LINK,
	KIND_FUNCTION_VFIO,
	KIND_FUNCTION_VENDOR,
	KIND_TYPES,
	KIND_TYPE,
	KIND_TYPE_DEVICES,
	KIND_TYPE_MDEV_LINK,
	KIND_MDEV_DRIVER,
	KIND_MDEV_DRIVER_LINK,
	KIND_MDEV_LINK,
	KIND_MDEV,
	KIND_MDEV_VENDOR,
	KIND_MDEV_VFIO,
	KIND_VFIO_DEVICE,
	KIND_COUNT,
};

struct node {
	uint8_t kind;	 /* enum tree_kind_id */
	uint8_t entry;	 /* 0: the thing itself; else number of the kind's entry, from 1 */
	uint32_t object; /* 24 bits: index or serial, as the kind says */
	uint32_t extra;	 /* 28 bits: node serial, or what makes nodes of one file distinct */
};

struct tree_stat {
	uint64_t
		inode; /* node_pack(), but one number for all nodes of a file that writes wait in */
	mode_t mode;   /* with the type of file */
	uid_t uid;
	gid_t gid;
	time_t time;
	bool is_fixed; /* will have this name for as long as the host lives */
};

/* Who writes what. waiter is called if tree_store() returns HOST_PENDING. */
struct tree_write {
	const char *text; /* length bytes and a NUL */
	size_t length;
	struct process writer;
	struct waiter *waiter;
};

typedef void tree_emit_fn(void *arg, const char *name, struct node node);
typedef int tree_show_fn(struct host *host, struct node node, FILE *out);
typedef int tree_store_fn(struct host *host, struct node node, const struct tree_write *write);

uint64_t node_pack(struct node node);
struct node node_unpack(uint64_t number);

/* Each returns -ENOENT (open files: -ENODEV) for a node whose object is gone. */
int tree_stat(struct host *host, struct node node, struct tree_stat *ret);
int tree_lookup(struct host *host, struct node parent, const char *name, struct node *ret);
int tree_list(struct host *host, struct node node, tree_emit_fn *emit, void *arg);

/* -EACCES: no such access, as sysfs answers even root. */
int tree_may_open(const struct host *host, struct node node, bool reads, bool writes);

/* From the root, through links; no slash at the start is needed. */
int tree_resolve(struct host *host, const char *path, struct node *ret);

/* The content of a file, or the target of a link. HOST_PENDING: the read is to be tried again. */
int tree_show(struct host *host, struct node node, FILE *out);

/* 0 (all was taken), HOST_PENDING, or -errno. */
int tree_store(struct host *host, struct node node, const struct tree_write *write);

/* The device node /dev/vfio/N that this is, or NULL. */
struct group *tree_dev_group(const struct host *host, struct node node);

/* The GPU whose /dev/nvidiaN this is, or NULL. */
struct gpu *tree_dev_gpu(const struct host *host, struct node node);

#endif
