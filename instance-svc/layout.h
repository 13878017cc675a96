/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an instance's things are:
 *
 *   STATE/records.db             the records
 *   STATE/images/                the image store
 *   STATE/kernels/               what guests boot (kernels.h)
 *   STATE/instances/ID/          overlay.img, config.img, lock, exit; memory.img in standby
 *   STATE/volumes/ID/            disk.img, record
 *   STATE/instances/ID/logs/     app.log, vmm.log, hypeman.log
 *   RUN/vm/ID.sock               the supervisor's control socket
 *
 * All of it is for our user alone: a VM's own user gets descriptors, not paths. But kernels
 * are read by path, by everybody, so STATE itself may be passed through (0711).
 */

#ifndef INSTANCE_SVC_LAYOUT_H
#define INSTANCE_SVC_LAYOUT_H

#include <limits.h>

#include "common/err.h"
#include "id.h"

#define LAYOUT_VOLUME_DISK "disk.img"

struct layout_path {
	char s[PATH_MAX];
};

struct layout {
	const char *state_dir; /* borrowed, as the next */
	const char *run_dir;
	int instances; /* directory, owned */
};

/* Makes the directories that are missing. */
int layout_open(struct layout *layout, const char *state_dir, const char *run_dir, struct err *err);
void layout_close(struct layout *layout);

struct layout_path layout_records(const struct layout *layout);
struct layout_path layout_images(const struct layout *layout);
struct layout_path layout_kernels(const struct layout *layout);
struct layout_path layout_volumes(const struct layout *layout);
struct layout_path layout_volume_disk(const struct layout *layout, const char *volume_id);
struct layout_path layout_instance(const struct layout *layout, const struct id *id);
struct layout_path layout_control(const struct layout *layout, const struct id *id);
struct layout_path layout_agent(const struct layout *layout, const struct id *id);

/* Makes the instance's directory and its logs. What exists already stays. */
int layout_make_instance(const struct layout *layout, const struct id *id, struct err *err);

/* Descriptor of the instance's directory, or -errno. */
int layout_open_instance(const struct layout *layout, const struct id *id);
int layout_open_logs(const struct layout *layout, const struct id *id);

/* The sockets and everything in the directory; what is gone already counts as done. */
int layout_remove_instance(const struct layout *layout, const struct id *id, struct err *err);

/* Only the disks: the logs stay until the instance is deleted. */
void layout_remove_disks(const struct layout *layout, const struct id *id);

#endif
