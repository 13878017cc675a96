/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What instance-svc tells the guest's init, and what init tells back. Shared by both.
 *
 * The host gives the guest three virtio disks, told apart by their serial:
 *   "image"   the erofs of the image, read only
 *   "overlay" an ext4 for everything the guest writes
 *   "config"  a raw disk that holds GUEST_CONFIG_MAGIC and then records "key=value\0" up
 *             to an empty one; padded with zeros to 512 bytes. Keys may repeat; order counts.
 *
 *   arg=...        one argument of the command, in order (at least one)
 *   env=NAME=value
 *   user=...       as in the image ("", "1000:1000", "www-data"); looked up in the image
 *   workdir=/...
 *   hostname=...
 *   ip=10.0.2.15/24  gateway=10.0.2.2  dns=10.0.2.3   (absent: no network)
 *
 * and one virtio-serial port named GUEST_REPORT_PORT, on which init writes lines:
 *   started\n                the command is about to be executed
 *   exit CODE TEXT\n         it ended: 0-255 (128+N: killed by signal N; 126/127 could not start)
 *   failed TEXT\n            the guest could not be set up; then it powers off
 * The host trusts none of it further than to record it. The console (ttyS0) carries the
 * command's own output and nothing of init's unless something failed.
 */

#ifndef INSTANCE_SVC_GUEST_CONFIG_H
#define INSTANCE_SVC_GUEST_CONFIG_H

#define GUEST_CONFIG_MAGIC "hypeman1"
#define GUEST_CONFIG_MAX_BYTES (256 * 1024)
#define GUEST_REPORT_PORT "org.hypeman.report"
#define GUEST_REPORT_LINE_MAX 512

#endif
