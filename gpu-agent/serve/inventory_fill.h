/* SPDX-License-Identifier: Apache-2.0 */
/* From the records of a scan to an inventory; for inventory.c alone. */

#ifndef GPU_AGENT_SERVE_INVENTORY_FILL_H
#define GPU_AGENT_SERVE_INVENTORY_FILL_H

#include "inventory.h"

/* Into an empty inventory. 0, or -ENOMEM with it half filled. */
int inventory_fill(struct inventory *inventory, const struct op_record *records, size_t count,
		   const struct catalogue *catalogue);

/* One more device. Ignored when its parent is not in the inventory. 0 or -ENOMEM. */
int inventory_fill_mdev(struct inventory *inventory, const struct op_mdev *said,
			const struct catalogue *catalogue);

#endif
