/* SPDX-License-Identifier: Apache-2.0 */
/* The folder to mount at, and what an earlier run that was killed left there. */

#ifndef SIMHOST_MOUNTPOINT_H
#define SIMHOST_MOUNTPOINT_H

#include "common/err.h"

#define MOUNTPOINT_FSTYPE "fuse.hypeman-simhost"

/*
 * dir is a folder to mount at when this returns 0. A dead mount of ours is taken away; a live
 * one, or a mount of anybody else, is an error.
 */
int mountpoint_prepare(const char *dir, struct err *err);

#endif
