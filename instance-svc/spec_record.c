/* SPDX-License-Identifier: Apache-2.0 */
/* A spec as bytes for the records, and what a start may change in one. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rate.h"
#include "size.h"
#include "spec.h"
#include "strv.h"

typedef Hypeman__Instance__V1__InstanceSpec wire_spec;
typedef Hypeman__Instance__V1__InstanceSpec__EnvEntry wire_env;

/* The entries borrow from env, whose texts are cut at their '='. */
static void split_env(char **env, wire_env *entries, wire_env **pointers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char *equals = strchr(env[i], '=');

		*equals = '\0';
		hypeman__instance__v1__instance_spec__env_entry__init(&entries[i]);
		entries[i].key = env[i];
		entries[i].value = equals + 1;
		pointers[i] = &entries[i];
	}
}

static void *pack(const wire_spec *wire, size_t *ret_size)
{
	size_t size = hypeman__instance__v1__instance_spec__get_packed_size(wire);
	void *bytes = malloc(size ? size : 1);

	if (bytes)
		*ret_size = hypeman__instance__v1__instance_spec__pack(wire, bytes);
	return bytes;
}

void *spec_save(const struct spec *spec, size_t *ret_size)
{
	wire_spec wire = HYPEMAN__INSTANCE__V1__INSTANCE_SPEC__INIT;
	Hypeman__Instance__V1__NetworkSpec network = HYPEMAN__INSTANCE__V1__NETWORK_SPEC__INIT;
	Hypeman__Instance__V1__GpuSpec gpu = HYPEMAN__INSTANCE__V1__GPU_SPEC__INIT;
	struct size_text memory = size_text(spec->memory_bytes);
	struct size_text overlay = size_text(spec->overlay_bytes);
	struct size_text hotplug = size_text(spec->hotplug_bytes);
	struct size_text disk_io = size_text(spec->disk_io_bps);
	struct rate_text download = rate_text(spec->download_bps);
	struct rate_text upload = rate_text(spec->upload_bps);
	struct spec_volume_messages volumes;
	size_t env_count = strv_length(spec->env);
	scoped(strv_free) char **env = NULL;
	scoped_free wire_env *entries = calloc(env_count + 1, sizeof(*entries));
	scoped_free wire_env **pointers = calloc(env_count + 1, sizeof(*pointers));

	if (!entries || !pointers || strv_extend(&env, spec->env) < 0)
		return NULL;
	split_env(env, entries, pointers, env_count);
	wire.name = spec->name;
	wire.image = spec->image;
	wire.size = memory.s;
	wire.overlay_size = overlay.s;
	if (spec->hotplug_bytes > 0)
		wire.hotplug_size = hotplug.s;
	if (spec->disk_io_bps > 0)
		wire.disk_io_bps = disk_io.s;
	wire.vcpus_opt_case = HYPEMAN__INSTANCE__V1__INSTANCE_SPEC__VCPUS_OPT_VCPUS;
	wire.vcpus = spec->vcpus;
	wire.n_env = env_count;
	wire.env = pointers;
	wire.n_entrypoint = strv_length(spec->entrypoint);
	wire.entrypoint = spec->entrypoint;
	wire.n_cmd = strv_length(spec->cmd);
	wire.cmd = spec->cmd;
	network.enabled_opt_case = HYPEMAN__INSTANCE__V1__NETWORK_SPEC__ENABLED_OPT_ENABLED;
	network.enabled = spec->network;
	if (spec->download_bps > 0)
		network.bandwidth_download = download.s;
	if (spec->upload_bps > 0)
		network.bandwidth_upload = upload.s;
	wire.network = &network;
	gpu.profile = spec->gpu_profile;
	wire.gpu = spec->gpu_profile ? &gpu : NULL;
	wire.n_devices = strv_length(spec->devices);
	wire.devices = spec->devices;
	wire.autostart_opt_case = HYPEMAN__INSTANCE__V1__INSTANCE_SPEC__AUTOSTART_OPT_AUTOSTART;
	wire.autostart = spec->autostart;
	if (spec->image_kernel)
		wire.kernel = (char *)(uintptr_t)SPEC_KERNEL_IMAGE;
	spec_volumes_to_wire(spec, &volumes);
	wire.n_volumes = spec->volume_count;
	wire.volumes = volumes.pointers;
	return pack(&wire, ret_size);
}

int spec_load(const void *bytes, size_t size, struct spec **ret, struct err *err)
{
	wire_spec *wire = hypeman__instance__v1__instance_spec__unpack(NULL, size, bytes);
	int r;

	if (!wire)
		return err_set(err, ERR_INTERNAL, "a stored instance is damaged");
	r = spec_from_wire(wire, ret, err);
	hypeman__instance__v1__instance_spec__free_unpacked(wire, NULL);
	return r;
}

static wire_spec *to_wire(const struct spec *spec)
{
	size_t size = 0;
	scoped_free void *bytes = spec_save(spec, &size);

	return bytes ? hypeman__instance__v1__instance_spec__unpack(NULL, size, bytes) : NULL;
}

int spec_copy(const struct spec *spec, struct spec **ret, struct err *err)
{
	wire_spec *wire = to_wire(spec);
	int r;

	if (!wire)
		return err_sys(err, ENOMEM, "cannot copy the instance");
	r = spec_from_wire(wire, ret, err);
	hypeman__instance__v1__instance_spec__free_unpacked(wire, NULL);
	return r;
}

/* As if it had been created so: the limits on all texts together hold here too. */
static int read_with_options(wire_spec *wire, const Hypeman__Instance__V1__StartOptions *options,
			     struct spec **ret, struct err *err)
{
	static const char instance[] = "instance.";
	wire_spec changed = *wire; /* borrows all that it points to */
	char field[sizeof(err->field)];

	if (options->n_entrypoint > 0) {
		changed.n_entrypoint = options->n_entrypoint;
		changed.entrypoint = options->entrypoint;
	}
	if (options->n_cmd > 0) {
		changed.n_cmd = options->n_cmd;
		changed.cmd = options->cmd;
	}
	if (spec_from_wire(&changed, ret, err) == 0)
		return 0;
	if (strncmp(err->field, instance, strlen(instance)) == 0) {
		snprintf(field, sizeof(field), "options.%s", err->field + strlen(instance));
		memcpy(err->field, field, sizeof(field));
	}
	return -1;
}

int spec_with_options(const struct spec *spec, const Hypeman__Instance__V1__StartOptions *options,
		      struct spec **ret, struct err *err)
{
	wire_spec *wire = to_wire(spec);
	int r;

	if (!wire)
		return err_sys(err, ENOMEM, "cannot keep the options");
	r = read_with_options(wire, options, ret, err);
	hypeman__instance__v1__instance_spec__free_unpacked(wire, NULL);
	return r;
}
