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
 *   volume=rw:/data  volume=ro:/models
 *                    one ext4 disk each, mounted there before the command starts; folders
 *                    are made where they are missing. The first has the serial "volume0",
 *                    the next "volume1" (GUEST_DISK_VOLUME)
 *
 * Any other key is an error, and so is a second value for one that does not repeat: arg,
 * env, dns and volume do. A gateway needs an ip.
 *
 * One virtio-serial port named GUEST_REPORT_PORT carries lines. Init writes:
 *   started\n                the command is about to be executed
 *   exit CODE TEXT\n         it ended: 0-255 (128+N: killed by signal N; 126/127 could not start)
 *   failed TEXT\n            the guest could not be set up; then it powers off
 * and reads:
 *   stop MILLISECONDS\n      SIGTERM to the command, SIGKILL to everything so much later;
 *                            the exit line follows as after any other end
 * The host trusts none of it further than to record it. After "exit" or "failed" the guest
 * unmounts its disks and powers off. When nobody listens, init waits a few seconds for the
 * port and goes on without.
 *
 * The console (ttyS0) carries the command's own bytes, untranslated, and nothing of init's
 * unless something failed.
 */

#ifndef INSTANCE_SVC_GUEST_CONFIG_H
#define INSTANCE_SVC_GUEST_CONFIG_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define GUEST_CONFIG_MAGIC     "hypeman1"
#define GUEST_CONFIG_MAX_BYTES (256 * 1024)
#define GUEST_REPORT_PORT      "org.hypeman.report"
#define GUEST_AGENT_PORT       "org.hypeman.agent" /* agent_protocol.h */
#define GUEST_REPORT_LINE_MAX  512
#define GUEST_STOP_MS_MAX      3600000

/* Serials of the disks. */
#define GUEST_DISK_IMAGE   "image"
#define GUEST_DISK_OVERLAY "overlay"
#define GUEST_DISK_CONFIG  "config"
#define GUEST_DISK_VOLUME  "volume%zu" /* of the number of the volume, from 0 */

/*
 * The kernel's command line. A panic ends QEMU (with -no-reboot). At loglevel 1 the kernel
 * would add "reboot: Power down" to the command's output; a panic prints at any level.
 */
#define GUEST_KERNEL_CMDLINE "console=ttyS0 quiet loglevel=0 panic=-1"

#define GUEST_DNS_MAX 3 /* as many as resolv.conf can hold */

#define GUEST_VOLUMES_MAX 16

struct guest_volume {
	const char *path; /* in the image; absolute, not "/" */
	bool read_only;
};

/* A config, read and checked. */
struct guest_config {
	char *records; /* owned; every text below points into it */
	char **args;   /* owned array, ends with NULL; at least one */
	char **env;    /* owned array, ends with NULL */
	size_t arg_count, env_count;
	const char *user;     /* "": root */
	const char *workdir;  /* "/" unless given; absolute */
	const char *hostname; /* "": leave it */
	bool has_network;
	struct in_addr ip, netmask, gateway; /* gateway 0.0.0.0: none */
	struct in_addr dns[GUEST_DNS_MAX];
	size_t dns_count;
	struct guest_volume volumes[GUEST_VOLUMES_MAX]; /* by number: disk GUEST_DISK_VOLUME */
	size_t volume_count;
};

/* Reads what the config disk holds. Pure. On failure *ret is empty. */
int guest_config_parse(const uint8_t *data, size_t length, struct guest_config *ret,
		       struct err *err);
void guest_config_done(struct guest_config *config);

#endif
