/* SPDX-License-Identifier: Apache-2.0 */
#include "spec.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "id.h"
#include "image.h"
#include "size.h"
#include "strv.h"

#define DEFAULT_MEMORY	"1GB"
#define DEFAULT_OVERLAY "10GB"
#define DEFAULT_VCPUS	2

typedef Hypeman__Instance__V1__InstanceSpec wire_spec;

void spec_free(struct spec *spec)
{
	if (!spec)
		return;
	free(spec->name);
	free(spec->image);
	strv_free(spec->env);
	strv_free(spec->entrypoint);
	strv_free(spec->cmd);
	free(spec->gpu_profile);
	strv_free(spec->devices);
	free(spec);
}

uint32_t spec_hold_count(const struct spec *spec)
{
	return (spec->gpu_profile ? 1 : 0) + (uint32_t)strv_length(spec->devices);
}

int spec_check_name(const char *name, struct err *err)
{
	static const char rule[] = "must be 1 to 63 characters of a-z, 0-9 and '-', without '-' "
				   "at either end";
	size_t length = strlen(name);

	if (length == 0)
		return err_field(err, "instance.name", "name is missing: it %s", rule);
	if (length > SPEC_NAME_MAX || name[0] == '-' || name[length - 1] == '-' ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != length)
		return err_field(err, "instance.name", "name is '%.80s': it %s", name, rule);
	if (id_is_valid(name))
		return err_field(err, "instance.name",
				 "name is '%s', which has the form of an id (%d of a-z and 2-7): "
				 "choose another length, or use a '-'",
				 name, ID_LENGTH);
	if (strcmp(name, "available") == 0)
		return err_field(err, "instance.name",
				 "name is 'available', which is reserved: choose another");
	return 0;
}

/* `text` or, when it is empty, the default; from min to max bytes. */
static int read_size(const char *text, const char *default_text, const char *name, uint64_t min,
		     uint64_t max, uint64_t *ret, struct err *err)
{
	const char *given = *text ? text : default_text;
	char field[64];
	uint64_t bytes;

	snprintf(field, sizeof(field), "instance.%s", name);
	if (size_parse(given, &bytes) < 0)
		return err_field(err, field,
				 "%s is '%.64s': must be a number with a unit, such as \"512MB\", "
				 "\"8GB\" or \"2G\"",
				 name, given);
	if (bytes < min || bytes > max)
		return err_field(err, field, "%s is '%.64s': must be from %s to %s", name, given,
				 SIZE_STR(min), SIZE_STR(max));
	*ret = bytes;
	return 0;
}

/* Empty: none, which is 0. */
static int read_optional_size(const char *text, const char *name, uint64_t max, uint64_t *ret,
			      struct err *err)
{
	char field[64];

	if (*text == '\0')
		return 0;
	if (read_size(text, text, name, 1 << 20, max, ret, err) < 0)
		return -1;
	snprintf(field, sizeof(field), "instance.%s", name);
	if (*ret % (1 << 20) != 0)
		return err_field(err, field, "%s is '%.64s': must be whole megabytes", name, text);
	return 0;
}

static int read_vcpus(const wire_spec *wire, struct spec *spec, struct err *err)
{
	spec->vcpus = DEFAULT_VCPUS;
	if (wire->vcpus_opt_case == HYPEMAN__INSTANCE__V1__INSTANCE_SPEC__VCPUS_OPT_VCPUS)
		spec->vcpus = wire->vcpus;
	if (spec->vcpus < 1 || spec->vcpus > SPEC_VCPUS_MAX)
		return err_field(err, "instance.vcpus",
				 "vcpus is %" PRIu32 ": must be from 1 to %d", spec->vcpus,
				 SPEC_VCPUS_MAX);
	return 0;
}

static int read_sizes(const wire_spec *wire, struct spec *spec, struct err *err)
{
	if (read_size(wire->size, DEFAULT_MEMORY, "size", SPEC_MEMORY_MIN, SPEC_MEMORY_MAX,
		      &spec->memory_bytes, err) < 0)
		return -1;
	if (spec->memory_bytes % (1 << 20) != 0)
		return err_field(err, "instance.size", "size is '%.64s': must be whole megabytes",
				 wire->size);
	if (read_size(wire->overlay_size, DEFAULT_OVERLAY, "overlay_size", SPEC_OVERLAY_MIN,
		      SPEC_OVERLAY_MAX, &spec->overlay_bytes, err) < 0)
		return -1;
	if (spec->overlay_bytes % 4096 != 0)
		return err_field(err, "instance.overlay_size",
				 "overlay_size is '%.64s': must be a multiple of 4096 bytes",
				 wire->overlay_size);
	if (read_optional_size(wire->hotplug_size, "hotplug_size",
			       SPEC_MEMORY_MAX - spec->memory_bytes, &spec->hotplug_bytes,
			       err) < 0 ||
	    read_optional_size(wire->disk_io_bps, "disk_io_bps", SPEC_DISK_IO_MAX,
			       &spec->disk_io_bps, err) < 0)
		return -1;
	return read_vcpus(wire, spec, err);
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int check_env_name(const char *name, struct err *err)
{
	if (*name == '\0' || strchr(name, '='))
		return err_field(err, "instance.env",
				 "env has the name '%.64s': must not be empty or contain '='",
				 name);
	for (const char *c = name; *c; c++)
		if ((unsigned char)*c < 0x21 || *c == 0x7f)
			return err_field(err, "instance.env",
					 "env has the name '%.64s': must not contain spaces or "
					 "control characters",
					 name);
	return 0;
}

/* Sorted, so that the same request always gives the same bytes. */
static int read_env(const wire_spec *wire, struct spec *spec, size_t *bytes, struct err *err)
{
	if (wire->n_env > SPEC_ARGUMENTS_MAX)
		return err_field(err, "instance.env", "env has %zu entries: at most %d",
				 wire->n_env, SPEC_ARGUMENTS_MAX);
	for (size_t i = 0; i < wire->n_env; i++) {
		if (check_env_name(wire->env[i]->key, err) < 0)
			return -1;
		for (size_t j = 0; j < i; j++)
			if (strcmp(wire->env[i]->key, wire->env[j]->key) == 0)
				return err_field(err, "instance.env", "env names '%.64s' twice",
						 wire->env[i]->key);
		if (strv_appendf(&spec->env, "%s=%s", wire->env[i]->key, wire->env[i]->value) < 0)
			return err_sys(err, ENOMEM, "cannot keep env");
		*bytes += strlen(spec->env[i]) + 1;
	}
	if (wire->n_env > 1)
		qsort(spec->env, wire->n_env, sizeof(*spec->env), compare_texts);
	return 0;
}

static int read_texts(char **texts, size_t count, const char *name, char ***ret, size_t *bytes,
		      struct err *err)
{
	char field[64];

	snprintf(field, sizeof(field), "instance.%s", name);
	if (count > SPEC_ARGUMENTS_MAX)
		return err_field(err, field, "%s has %zu entries: at most %d", name, count,
				 SPEC_ARGUMENTS_MAX);
	for (size_t i = 0; i < count; i++) {
		if (strv_append(ret, texts[i]) < 0)
			return err_sys(err, ENOMEM, "cannot keep %s", name);
		*bytes += strlen(texts[i]) + 1;
	}
	if (count > 0 && (*ret)[0][0] == '\0')
		return err_field(err, field, "%s[0] is empty: must name a program", name);
	return 0;
}

static int read_command(const wire_spec *wire, struct spec *spec, struct err *err)
{
	size_t bytes = 0;

	if (read_env(wire, spec, &bytes, err) < 0 ||
	    read_texts(wire->entrypoint, wire->n_entrypoint, "entrypoint", &spec->entrypoint,
		       &bytes, err) < 0 ||
	    read_texts(wire->cmd, wire->n_cmd, "cmd", &spec->cmd, &bytes, err) < 0)
		return -1;
	if (bytes > SPEC_TEXT_BYTES_MAX)
		return err_field(err, "instance.env",
				 "env, entrypoint and cmd have %zu bytes together: at most %d",
				 bytes, SPEC_TEXT_BYTES_MAX);
	return 0;
}

static int read_gpu(const wire_spec *wire, struct spec *spec, struct err *err)
{
	size_t length;

	if (!wire->gpu)
		return 0;
	length = strlen(wire->gpu->profile);
	if (length == 0 || length > SPEC_PROFILE_MAX)
		return err_field(
			err, "instance.gpu.profile",
			"gpu.profile is '%.80s': must be a profile name of GET /resources, "
			"such as \"L40S-1Q\"",
			wire->gpu->profile);
	spec->gpu_profile = strdup(wire->gpu->profile);
	return spec->gpu_profile ? 0 : err_sys(err, ENOMEM, "cannot keep gpu.profile");
}

static int read_devices(const wire_spec *wire, struct spec *spec, struct err *err)
{
	if (wire->n_devices > SPEC_DEVICES_MAX)
		return err_field(err, "instance.devices", "devices has %zu entries: at most %d",
				 wire->n_devices, SPEC_DEVICES_MAX);
	for (size_t i = 0; i < wire->n_devices; i++) {
		const char *device = wire->devices[i];

		if (*device == '\0' || strlen(device) > SPEC_DEVICE_MAX)
			return err_field(err, "instance.devices",
					 "devices has '%.80s': must be the id or name of a device "
					 "of GET /devices",
					 device);
		for (size_t j = 0; j < i; j++)
			if (strcmp(device, wire->devices[j]) == 0)
				return err_field(err, "instance.devices",
						 "devices names '%.64s' twice", device);
		if (strv_append(&spec->devices, device) < 0)
			return err_sys(err, ENOMEM, "cannot keep devices");
	}
	return 0;
}

/* Another than was asked for is never taken instead. */
static int read_machine(const wire_spec *wire, struct spec *spec, struct err *err)
{
	if (*wire->hypervisor && strcmp(wire->hypervisor, "qemu") != 0)
		return err_field(err, "instance.hypervisor",
				 "hypervisor is '%.64s': must be \"qemu\" or left out",
				 wire->hypervisor);
	if (*wire->kernel && strcmp(wire->kernel, SPEC_KERNEL_IMAGE) != 0)
		return err_field(err, "instance.kernel",
				 "kernel is '%.64s': must be \"" SPEC_KERNEL_IMAGE
				 "\" for the image's own, or left out for this host's",
				 wire->kernel);
	spec->image_kernel = *wire->kernel != '\0';
	return 0;
}

int spec_from_wire(const wire_spec *wire, struct spec **ret, struct err *err)
{
	scoped(spec_free) struct spec *spec = calloc(1, sizeof(*spec));

	if (!spec)
		return err_sys(err, ENOMEM, "cannot keep the instance");
	if (!wire)
		return err_field(err, "instance", "instance is missing");
	if (spec_check_name(wire->name, err) < 0)
		return -1;
	spec->name = strdup(wire->name);
	if (!spec->name)
		return err_sys(err, ENOMEM, "cannot keep the name");
	if (*wire->image == '\0')
		return err_field(err, "instance.image",
				 "image is missing: must be an image reference, such as "
				 "\"docker.io/library/busybox:latest\"");
	if (image_reference_normalize(wire->image, "instance.image", &spec->image, err) < 0 ||
	    read_sizes(wire, spec, err) < 0 || read_command(wire, spec, err) < 0 ||
	    read_gpu(wire, spec, err) < 0 || read_devices(wire, spec, err) < 0 ||
	    spec_read_volumes(wire, spec, err) < 0 ||
	    (wire->network && spec_read_rates(wire->network, spec, err) < 0) ||
	    read_machine(wire, spec, err) < 0)
		return -1;
	spec->network = true;
	if (wire->network && wire->network->enabled_opt_case ==
				     HYPEMAN__INSTANCE__V1__NETWORK_SPEC__ENABLED_OPT_ENABLED)
		spec->network = wire->network->enabled;
	spec->autostart = wire->autostart_opt_case ==
				  HYPEMAN__INSTANCE__V1__INSTANCE_SPEC__AUTOSTART_OPT_AUTOSTART &&
			  wire->autostart;
	*ret = TAKE_PTR(spec);
	return 0;
}
