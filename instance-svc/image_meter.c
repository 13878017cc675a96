/* SPDX-License-Identifier: Apache-2.0 */
#include "image_meter.h"

#include <errno.h>
#include <fts.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "common/clock.h"

#include "image_pull.h"
#include "size.h"

#define LOOK_EVERY_MS 1000

void image_meter_init(struct image_meter *meter, const char *folder,
		      void (*tell)(void *user, enum image_status phase,
				   const struct image_progress *progress),
		      void *user)
{
	*meter = (struct image_meter){
		.folder = folder, .tell = tell, .user = user, .phase = IMAGE_PULLING
	};
}

static void tell(struct image_meter *meter)
{
	if (meter->tell)
		meter->tell(meter->user, meter->phase, &meter->progress);
}

/* `wanted` beside what must stay free. */
static int check_room(const struct image_meter *meter, uint64_t wanted, const char *what,
		      struct err *err)
{
	struct statvfs st;
	uint64_t available;

	if (statvfs(meter->folder, &st) < 0)
		return err_sys(err, errno, "cannot look at the file system of %s", meter->folder);
	available = st.f_bavail * st.f_frsize;
	if (available >= IMAGE_PULL_FREE_MIN && available - IMAGE_PULL_FREE_MIN >= wanted)
		return 0;
	return err_set(err, ERR_INSUFFICIENT_CAPACITY,
		       "the disk is full: %s takes %" PRIu64 " MB, %" PRIu64 " MB are available, "
		       "of which %s must stay free",
		       what, wanted >> 20, available >> 20, SIZE_STR(IMAGE_PULL_FREE_MIN));
}

int image_meter_begin(struct image_meter *meter, const struct image_layers *layers,
		      uint64_t bytes_max, struct err *err)
{
	if (layers->bytes > bytes_max)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "its layers are %" PRIu64 " MB: an image may take %s unpacked",
			       layers->bytes >> 20, SIZE_STR(bytes_max));
	meter->progress.layers_total = (uint32_t)layers->count;
	meter->progress.bytes_total = layers->bytes;
	tell(meter);
	return check_room(meter, layers->bytes, "the download", err);
}

int image_meter_unpack(struct image_meter *meter, uint64_t bytes, struct err *err)
{
	meter->phase = IMAGE_CONVERTING;
	meter->progress.layers_done = meter->progress.layers_total;
	meter->progress.bytes_done = meter->progress.bytes_total;
	tell(meter);
	return check_room(meter, bytes, "unpacking", err);
}

/* Blobs that are whole, and those that come, which have other names. */
static void measure(struct image_meter *meter)
{
	scoped_free char *path = NULL;
	struct image_progress *progress = &meter->progress;
	uint64_t bytes = 0;
	uint32_t whole = 0;
	FTSENT *entry;
	FTS *fts;

	if (asprintf(&path, "%s/oci", meter->folder) < 0) {
		path = NULL;
		return;
	}
	fts = fts_open((char *const[]){ path, NULL }, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	if (!fts)
		return;
	while ((entry = fts_read(fts))) {
		if (entry->fts_info != FTS_F)
			continue;
		bytes += (uint64_t)entry->fts_statp->st_size;
		whole += entry->fts_level == 3;
	}
	fts_close(fts);
	/* Config and manifest count too, and a layer may be packed anew: never more than all. */
	if (bytes > progress->bytes_total)
		bytes = progress->bytes_total;
	if (bytes > progress->bytes_done)
		progress->bytes_done = bytes;
	progress->layers_done = whole < progress->layers_total ? whole : progress->layers_total;
}

int image_meter_look(void *user, struct err *err)
{
	struct image_meter *meter = user;
	int64_t now = clock_monotonic_ms();

	if (now < meter->next_ms)
		return 0;
	meter->next_ms = now + LOOK_EVERY_MS;
	if (meter->phase == IMAGE_PULLING) {
		measure(meter);
		tell(meter);
	}
	return check_room(meter, 0, "the pull", err);
}
