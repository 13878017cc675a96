// SPDX-License-Identifier: GPL-2.0-only
/* What fits on a GPU, and the faults that can be asked for while the module is loaded. */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/sched/signal.h>

#include "board.h"
#include "vgpu.h"

/* Written to /sys/module/test_vgpu/parameters/. */
static char *fault_gpu = "";
module_param(fault_gpu, charp, 0644);
MODULE_PARM_DESC(fault_gpu, "address of the only GPU that has faults; empty: all");
static int refuse_creates;
module_param(refuse_creates, int, 0644);
MODULE_PARM_DESC(refuse_creates, "so many creations fail with EIO");
static int refuse_clears;
module_param(refuse_clears, int, 0644);
MODULE_PARM_DESC(refuse_clears, "so many clearings of a vendor VFIO type fail with EBUSY");
static uint create_delay_ms;
module_param(create_delay_ms, uint, 0644);
MODULE_PARM_DESC(create_delay_ms, "every creation takes so long");
static bool delay_is_killable = true;
module_param(delay_is_killable, bool, 0644);
MODULE_PARM_DESC(delay_is_killable, "whether a signal ends that delay");

const struct vgpu_type vgpu_types[] = { BOARD_TYPES };
const unsigned int vgpu_type_count = ARRAY_SIZE(vgpu_types);

static DEFINE_MUTEX(fault_lock);

static bool take_one(int *count)
{
	bool taken;

	mutex_lock(&fault_lock);
	taken = *count > 0;
	if (taken)
		--*count;
	mutex_unlock(&fault_lock);
	return taken;
}

static bool has_faults(const struct gpu *gpu)
{
	bool ret;

	kernel_param_lock(THIS_MODULE);
	ret = sysfs_streq(fault_gpu, "") || sysfs_streq(fault_gpu, pci_name(gpu->physical));
	kernel_param_unlock(THIS_MODULE);
	return ret;
}

bool fault_refuses_clear(const struct gpu *gpu)
{
	return has_faults(gpu) && take_one(&refuse_clears);
}

/* A delay that is set to 0 while somebody waits is over. */
static int delay_creation(const struct gpu *gpu)
{
	unsigned long end = jiffies + msecs_to_jiffies(READ_ONCE(create_delay_ms));

	if (!has_faults(gpu))
		return 0;
	while (READ_ONCE(create_delay_ms) && time_before(jiffies, end)) {
		if (!READ_ONCE(delay_is_killable)) {
			msleep(20);
			continue;
		}
		schedule_timeout_killable(msecs_to_jiffies(20));
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	return take_one(&refuse_creates) ? -EIO : 0;
}

unsigned int gpu_available(const struct gpu *gpu, const struct vgpu_type *type)
{
	unsigned int index = type - vgpu_types, i;

	for (i = 0; i < vgpu_type_count; i++)
		if (gpu->type_counts[i] && vgpu_types[i].framebuffer_mb != type->framebuffer_mb)
			return 0;
	return min(type->max_instance - gpu->type_counts[index],
		   (BOARD_FRAMEBUFFER_MB - gpu->used_mb) / type->framebuffer_mb);
}

int gpu_take(struct gpu *gpu, const struct vgpu_type **slot, const struct vgpu_type *type)
{
	int ret = delay_creation(gpu);

	if (ret)
		return ret;
	mutex_lock(&gpu->lock);
	if ((slot && *slot) || gpu_available(gpu, type) == 0) {
		ret = -EIO;
	} else {
		gpu->used_mb += type->framebuffer_mb;
		gpu->type_counts[type - vgpu_types]++;
		if (slot)
			*slot = type;
	}
	mutex_unlock(&gpu->lock);
	return ret;
}

void gpu_give(struct gpu *gpu, const struct vgpu_type **slot, const struct vgpu_type *type)
{
	mutex_lock(&gpu->lock);
	gpu->used_mb -= type->framebuffer_mb;
	gpu->type_counts[type - vgpu_types]--;
	if (slot)
		*slot = NULL;
	mutex_unlock(&gpu->lock);
}
