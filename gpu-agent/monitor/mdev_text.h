/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an mdev type's "description" says. Pure. Only NVIDIA's has these keys, somewhere in a
 * list ("num_heads=4, frl_config=45, framebuffer=1024M, ... max_instance=32"); other vendors
 * write what they like, over several lines.
 */

#ifndef GPU_AGENT_MONITOR_MDEV_TEXT_H
#define GPU_AGENT_MONITOR_MDEV_TEXT_H

#include <stdint.h>

/* MiB; OPS_UNKNOWN where the text does not say. */
int32_t mdev_text_framebuffer(const char *description);

/* OPS_UNKNOWN where the text does not say. */
int32_t mdev_text_max_instance(const char *description);

#endif
