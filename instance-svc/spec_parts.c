/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a spec that are about volumes and the network's rates. */
#include <stdio.h>
#include <string.h>

#include "rate.h"
#include "spec.h"

int spec_check_path(const char *path, const char *field, struct err *err)
{
	const char *part = path;

	if (*path != '/' || path[strspn(path, "/")] == '\0' || strlen(path) > SPEC_PATH_MAX)
		return err_field(err, field,
				 "mount_path is '%.80s': must be an absolute path of at most %d "
				 "bytes, and not \"/\"",
				 path, SPEC_PATH_MAX);
	for (const char *c = path; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return err_field(err, field, "mount_path has a control character");
	while ((part = strstr(part, "/."))) {
		part += 2;
		part += *part == '.';
		if (*part == '\0' || *part == '/')
			return err_field(err, field,
					 "mount_path is '%.80s': must not have '.' or '..' in it",
					 path);
	}
	return 0;
}

/* One by one, so that the same one twice is seen. */
static int read_volume(const Hypeman__Instance__V1__VolumeMount *wire, struct spec *spec,
		       struct err *err)
{
	struct spec_volume *volume = &spec->volumes[spec->volume_count];
	char field[64];

	snprintf(field, sizeof(field), "instance.volumes[%zu].volume_id", spec->volume_count);
	if (*wire->volume_id == '\0' || strlen(wire->volume_id) >= sizeof(volume->id))
		return err_field(err, field,
				 "volume_id is '%.80s': must be the id or name of a volume of GET "
				 "/volumes",
				 wire->volume_id);
	for (size_t i = 0; i < spec->volume_count; i++)
		if (strcmp(spec->volumes[i].id, wire->volume_id) == 0)
			return err_field(err, field, "volumes names '%.64s' twice",
					 wire->volume_id);
	snprintf(field, sizeof(field), "instance.volumes[%zu].mount_path", spec->volume_count);
	if (spec_check_path(wire->mount_path, field, err) < 0)
		return -1;
	for (size_t i = 0; i < spec->volume_count; i++)
		if (strcmp(spec->volumes[i].path, wire->mount_path) == 0)
			return err_field(err, field, "mount_path is '%.80s', as another volume's",
					 wire->mount_path);
	snprintf(volume->id, sizeof(volume->id), "%s", wire->volume_id);
	snprintf(volume->path, sizeof(volume->path), "%s", wire->mount_path);
	volume->read_only = wire->readonly;
	spec->volume_count++;
	return 0;
}

int spec_read_volumes(const Hypeman__Instance__V1__InstanceSpec *wire, struct spec *spec,
		      struct err *err)
{
	if (wire->n_volumes > SPEC_VOLUMES_MAX)
		return err_field(err, "instance.volumes", "volumes has %zu entries: at most %d",
				 wire->n_volumes, SPEC_VOLUMES_MAX);
	for (size_t i = 0; i < wire->n_volumes; i++)
		if (read_volume(wire->volumes[i], spec, err) < 0)
			return -1;
	return 0;
}

void spec_volumes_to_wire(const struct spec *spec, struct spec_volume_messages *ret)
{
	for (size_t i = 0; i < spec->volume_count; i++) {
		hypeman__instance__v1__volume_mount__init(&ret->list[i]);
		ret->list[i].volume_id = (char *)(uintptr_t)spec->volumes[i].id;
		ret->list[i].mount_path = (char *)(uintptr_t)spec->volumes[i].path;
		ret->list[i].readonly = spec->volumes[i].read_only;
		ret->pointers[i] = &ret->list[i];
	}
}

static int read_rate(const char *text, const char *name, uint64_t *ret, struct err *err)
{
	char field[64];
	uint64_t bps;

	snprintf(field, sizeof(field), "instance.network.%s", name);
	if (*text == '\0')
		return 0;
	if (rate_parse(text, &bps) < 0)
		return err_field(err, field,
				 "%s is '%.64s': must be bits per second, such as \"100Mbps\" or "
				 "\"1Gbps\"",
				 name, text);
	if (bps < SPEC_RATE_MIN || bps > SPEC_RATE_MAX)
		return err_field(err, field, "%s is '%.64s': must be from %s to %s", name, text,
				 RATE_STR(SPEC_RATE_MIN), RATE_STR(SPEC_RATE_MAX));
	*ret = bps;
	return 0;
}

int spec_read_rates(const Hypeman__Instance__V1__NetworkSpec *wire, struct spec *spec,
		    struct err *err)
{
	if (read_rate(wire->bandwidth_download, "bandwidth_download", &spec->download_bps, err) < 0)
		return -1;
	return read_rate(wire->bandwidth_upload, "bandwidth_upload", &spec->upload_bps, err);
}
