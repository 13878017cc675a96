/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel modules of the initramfs: MODULE_LIST names them one a line in the order in which
 * they can be loaded; build-guest worked that order out.
 */

#ifndef INSTANCE_SVC_GUEST_MODULE_H
#define INSTANCE_SVC_GUEST_MODULE_H

#include "common/err.h"

#define MODULE_FOLDER "/modules"
#define MODULE_LIST   MODULE_FOLDER "/list"

/* Loads all and removes their files, which only take up memory from then on. */
int module_load_all(struct err *err);

#endif
