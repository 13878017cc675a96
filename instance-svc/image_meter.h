/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches one pull's folder: how much of the layers has come, and whether the disk is about
 * to be full. Of the pull's thread.
 */

#ifndef INSTANCE_SVC_IMAGE_METER_H
#define INSTANCE_SVC_IMAGE_METER_H

#include <stdint.h>

#include "common/err.h"
#include "image.h"
#include "image_manifest.h"

struct image_meter {
	const char *folder; /* borrowed */
	void (*tell)(void *user, enum image_status phase, const struct image_progress *progress);
	void *user;
	enum image_status phase;
	struct image_progress progress;
	int64_t next_ms; /* monotonic: when to look again */
};

void image_meter_init(struct image_meter *meter, const char *folder,
		      void (*tell)(void *user, enum image_status phase,
				   const struct image_progress *progress),
		      void *user);

/* These layers are to be downloaded. Refused when they are too much, or the disk too full. */
int image_meter_begin(struct image_meter *meter, const struct image_layers *layers,
		      uint64_t bytes_max, struct err *err);

/* All of them are here; so many bytes are to be unpacked. */
int image_meter_unpack(struct image_meter *meter, uint64_t bytes, struct err *err);

/* For process_limits.look: a struct image_meter. -1 when the disk is full. */
int image_meter_look(void *meter, struct err *err);

#endif
