/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel modules that the image carries for the kernel that runs, in /lib/modules/RELEASE:
 * drivers of the devices that a VM is given, above all of GPUs. They are loaded by the
 * image's own modprobe, which knows its blacklists, options and forms of compression.
 */

#ifndef INSTANCE_SVC_GUEST_DRIVER_H
#define INSTANCE_SVC_GUEST_DRIVER_H

/*
 * In the image's root, as root: loads what matches a PCI device, and what modules-load.d and
 * /etc/modules name. Whatever cannot be loaded is told on `output` and stops nothing.
 */
void driver_load_all(int output);

#endif
