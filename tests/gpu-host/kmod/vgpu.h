/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Module test_vgpu: a driver "nvidia" for the GPUs of test_pci that makes vGPUs as NVIDIA's
 * does, as far as the kernel's own interfaces show it. The vGPUs have configuration space and
 * one region of memory, and compute nothing.
 */
#ifndef TEST_VGPU_H
#define TEST_VGPU_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/pci.h>

#define VGPU_PARAMS_MAX 256

/* A line of the board's table. */
struct vgpu_type {
	unsigned int id;
	const char *name;
	unsigned int framebuffer_mb;
	unsigned int max_instance; /* on one GPU */
	unsigned int heads;
	unsigned int frame_rate;
	const char *resolution;
};

extern const struct vgpu_type vgpu_types[];
extern const unsigned int vgpu_type_count;

enum framework {
	FRAMEWORK_NONE,	   /* vGPUs are not configured */
	FRAMEWORK_MDEV,	   /* each virtual function is an mdev parent */
	FRAMEWORK_MDEV_PF, /* the GPU itself is one: a shared budget, no virtual functions */
	FRAMEWORK_VENDOR,  /* each virtual function is a VFIO device with a type */
};

struct gpu {
	struct list_head list;
	struct pci_dev *physical;
	enum framework framework;
	struct mutex lock;	   /* all below, and the slots of its functions */
	unsigned int used_mb;	   /* framebuffer */
	unsigned int *type_counts; /* as many as types */
};

/* Of a GPU that our driver has or had: vgpu_driver.c. */
enum framework gpu_framework(const struct pci_dev *physical);

/* --- capacity: vgpu_capacity.c */

/* How many more of the type fit; gpu->lock held. All vGPUs of one GPU have one size. */
unsigned int gpu_available(const struct gpu *gpu, const struct vgpu_type *type);

/*
 * Takes one, and remembers it in *slot, which holds one at a time (NULL: no slot, only the
 * GPU's budget). -EIO when it does not fit, as NVIDIA's resource manager answers everything.
 * Faults that were asked for happen here.
 */
int gpu_take(struct gpu *gpu, const struct vgpu_type **slot, const struct vgpu_type *type);
void gpu_give(struct gpu *gpu, const struct vgpu_type **slot, const struct vgpu_type *type);

/* True, once, for each clearing of a type that shall fail. */
bool fault_refuses_clear(const struct gpu *gpu);

/* --- functions: vgpu_mdev.c, vgpu_vendor.c */

int mdev_parent_add(struct pci_dev *function, struct gpu *gpu);
void mdev_parent_remove(struct pci_dev *function);
int mdev_flavour_register(void);
void mdev_flavour_unregister(void);

int vendor_function_add(struct pci_dev *function, struct gpu *gpu);
void vendor_function_remove(struct pci_dev *function);
extern const struct attribute_group vendor_group;

#endif
