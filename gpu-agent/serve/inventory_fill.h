/* SPDX-License-Identifier: Apache-2.0 */
/* From the records of a scan to an inventory; for inventory*.c alone. */

#ifndef GPU_AGENT_SERVE_INVENTORY_FILL_H
#define GPU_AGENT_SERVE_INVENTORY_FILL_H

#include "inventory.h"

/* Into an empty inventory. 0, or -ENOMEM with it half filled. */
int inventory_fill(struct inventory *inventory, const struct op_record *records, size_t count,
		   const struct catalogue *catalogue);

/* One more vGPU. Ignored when its parent is not in the inventory. 0 or -ENOMEM. */
int inventory_fill_vgpu(struct inventory *inventory, const struct op_mdev *said,
			const struct catalogue *catalogue);

/* What the functions of the vendor VFIO framework offer and carry. 0 or -ENOMEM. */
int inventory_fill_vendor(struct inventory *inventory, const struct op_record *records,
			  size_t count, const struct catalogue *catalogue);

/* Texts come from files that drivers write: what is not printable ASCII becomes '?'. */
void inventory_copy_text(char *to, const char *from, size_t size);

/* Index of the profile, added if it is new; INVENTORY_NONE: out of memory. */
size_t inventory_intern_profile(struct inventory *inventory, const char *name,
				int32_t framebuffer_mb);

/* Of which a read failed, so that what is missing there is not taken for absent. 0 or -ENOMEM. */
int inventory_add_unreadable(struct inventory *inventory, struct pci_addr address);

#endif
