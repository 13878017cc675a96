/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control file: what a test does to the host beside using it. One command a line:
 *
 *   hold N                         somebody (no process) opens /dev/vfio/N
 *   release N                      and closes it
 *   fault create-hang VF           creates on VF do not return, though the vGPU is there
 *   fault create-hang-before VF    creates on VF do not even begin
 *   fault create-eio VF COUNT      the next COUNT creates on VF fail
 *   fault remove-hang VF           removes on VF do not return, as if the node were held
 *   clear                          all faults end, and what they kept goes on
 *
 * VF is the address of an mdev parent, or * for all of them.
 */

#ifndef SIMHOST_CONTROL_H
#define SIMHOST_CONTROL_H

#include "host.h"

/* The state of the host, a line for each thing. */
void control_show(const struct host *host, FILE *out);

/* 0, or -errno of the first command that fails: -EINVAL no command, or no such object. */
int control_run(struct host *host, const char *text);

#endif
