/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "instance-svc/spec.h"
#include "instance-svc/strv.h"

typedef Hypeman__Instance__V1__InstanceSpec wire_spec;
typedef Hypeman__Instance__V1__InstanceSpec__EnvEntry wire_env;

static char name_text[] = "vm-1";
static char image_text[] = "busybox";

static wire_spec minimal(void)
{
	wire_spec wire = HYPEMAN__INSTANCE__V1__INSTANCE_SPEC__INIT;

	wire.name = name_text;
	wire.image = image_text;
	return wire;
}

static void what_is_left_out_gets_the_documented_defaults(void **state)
{
	scoped(spec_free) struct spec *spec = NULL;
	wire_spec wire = minimal();
	struct err err;

	(void)state;
	assert_int_equal(spec_from_wire(&wire, &spec, &err), 0);

	assert_string_equal(spec->image, "docker.io/library/busybox:latest");
	assert_int_equal(spec->memory_bytes, UINT64_C(1) << 30);
	assert_int_equal(spec->overlay_bytes, UINT64_C(10) << 30);
	assert_int_equal(spec->vcpus, 2);
	assert_true(spec->network);
	assert_null(spec->gpu_profile);
}

static void names_follow_the_rule(void **state)
{
	static const char *const taken[] = {
		"a",
		"7",
		"ml-training",
		"a--b",
		"abcdefghijklmnopqrstuvw",
		"abcdefghijklmnopqrstuvwx1",
		"012345678901234567890123456789012345678901234567890123456789012",
	};
	static const char *const refused[] = {
		"",
		"-a",
		"a-",
		"A",
		"a_b",
		"a.b",
		"a b",
		"\xc3\xa4",
		"available",
		"abcdefghijklmnopqrstuvwx", /* 24 of the alphabet of ids: an id */
		"0123456789012345678901234567890123456789012345678901234567890123",
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		assert_int_equal(spec_check_name(taken[i], &err), 0);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		assert_int_equal(spec_check_name(refused[i], &err), -1);
		assert_string_equal(err.field, "instance.name");
		assert_int_equal(err.reason, ERR_INVALID_ARGUMENT);
	}
}

/* One field at a time, so that the refusal must be about it. */
static void expect_refusal(const wire_spec *wire, const char *field, const char *words)
{
	struct spec *spec = NULL;
	struct err err;

	assert_int_equal(spec_from_wire(wire, &spec, &err), -1);
	assert_null(spec);
	assert_int_equal(err.reason, ERR_INVALID_ARGUMENT);
	assert_string_equal(err.field, field);
	assert_non_null(strstr(err.message, words));
}

static void each_refusal_names_the_field_and_the_value(void **state)
{
	static char text[] = "nonsense", tiny[] = "1MB", huge[] = "1000T", odd[] = "200000001B",
		    xen[] = "xen", empty[] = "";
	static Hypeman__Instance__V1__GpuSpec gpu = HYPEMAN__INSTANCE__V1__GPU_SPEC__INIT;
	static char *no_program[] = { empty };
	wire_spec wire;

	(void)state;
	wire = minimal(), wire.image = empty;
	expect_refusal(&wire, "instance.image", "image is missing");
	wire = minimal(), wire.size = text;
	expect_refusal(&wire, "instance.size", "size is 'nonsense'");
	wire = minimal(), wire.size = tiny;
	expect_refusal(&wire, "instance.size", "must be from 128MB to 4TB");
	wire = minimal(), wire.size = odd;
	expect_refusal(&wire, "instance.size", "whole megabytes");
	wire = minimal(), wire.overlay_size = huge;
	expect_refusal(&wire, "instance.overlay_size", "overlay_size is '1000T'");
	wire = minimal(), wire.overlay_size = odd;
	expect_refusal(&wire, "instance.overlay_size", "multiple of 4096");
	wire = minimal(), wire.hypervisor = xen;
	expect_refusal(&wire, "instance.hypervisor", "hypervisor is 'xen'");
	wire = minimal(), wire.kernel = text;
	expect_refusal(&wire, "instance.kernel", "kernel is 'nonsense': must be \"image\"");
	wire = minimal(), wire.gpu = &gpu;
	expect_refusal(&wire, "instance.gpu.profile", "gpu.profile is ''");
	wire = minimal(), wire.n_entrypoint = 1, wire.entrypoint = no_program;
	expect_refusal(&wire, "instance.entrypoint", "entrypoint[0] is empty");
	wire = minimal();
	wire.vcpus_opt_case = HYPEMAN__INSTANCE__V1__INSTANCE_SPEC__VCPUS_OPT_VCPUS;
	expect_refusal(&wire, "instance.vcpus", "vcpus is 0: must be from 1 to 255");
	wire.vcpus = 256;
	expect_refusal(&wire, "instance.vcpus", "vcpus is 256");
	expect_refusal(NULL, "instance", "instance is missing");
}

static void environment_is_checked(void **state)
{
	static char bad[] = "A=B", spaced[] = "A B", empty[] = "", good[] = "A", value[] = "x y=z";
	wire_env one = HYPEMAN__INSTANCE__V1__INSTANCE_SPEC__ENV_ENTRY__INIT;
	wire_env two = HYPEMAN__INSTANCE__V1__INSTANCE_SPEC__ENV_ENTRY__INIT;
	wire_env *entries[] = { &one, &two };
	scoped(spec_free) struct spec *spec = NULL;
	wire_spec wire = minimal();
	struct err err;

	(void)state;
	wire.env = entries;
	wire.n_env = 1;
	one.value = value;
	one.key = bad;
	expect_refusal(&wire, "instance.env", "'A=B'");
	one.key = spaced;
	expect_refusal(&wire, "instance.env", "'A B'");
	one.key = empty;
	expect_refusal(&wire, "instance.env", "must not be empty");
	one.key = two.key = good;
	wire.n_env = 2;
	expect_refusal(&wire, "instance.env", "names 'A' twice");
	wire.n_env = 1;
	assert_int_equal(spec_from_wire(&wire, &spec, &err), 0);
	assert_string_equal(spec->env[0], "A=x y=z");
}

static void too_much_text_is_refused(void **state)
{
	char *long_text = calloc(1, SPEC_TEXT_BYTES_MAX + 1);
	char *arguments[SPEC_ARGUMENTS_MAX + 1];
	wire_spec wire = minimal();

	(void)state;
	memset(long_text, 'x', SPEC_TEXT_BYTES_MAX);
	for (size_t i = 0; i <= SPEC_ARGUMENTS_MAX; i++)
		arguments[i] = name_text;
	wire.cmd = arguments;
	wire.n_cmd = SPEC_ARGUMENTS_MAX + 1;
	expect_refusal(&wire, "instance.cmd", "257 entries");
	arguments[0] = long_text;
	wire.n_cmd = 1;
	expect_refusal(&wire, "instance.env", "bytes together");
	free(long_text);
}

static void what_is_saved_loads_as_it_was(void **state)
{
	static char program[] = "/run", argument[] = "--all", key[] = "K", value[] = "a=b",
		    key2[] = "B", profile[] = "L40S-1Q", size[] = "1536MB", kernel[] = "image";
	wire_env one = HYPEMAN__INSTANCE__V1__INSTANCE_SPEC__ENV_ENTRY__INIT;
	wire_env two = HYPEMAN__INSTANCE__V1__INSTANCE_SPEC__ENV_ENTRY__INIT;
	wire_env *entries[] = { &one, &two };
	Hypeman__Instance__V1__GpuSpec gpu = HYPEMAN__INSTANCE__V1__GPU_SPEC__INIT;
	Hypeman__Instance__V1__NetworkSpec network = HYPEMAN__INSTANCE__V1__NETWORK_SPEC__INIT;
	char *command[] = { program, argument };
	scoped(spec_free) struct spec *spec = NULL;
	scoped(spec_free) struct spec *again = NULL;
	scoped_free void *bytes = NULL;
	wire_spec wire = minimal();
	struct err err;
	size_t length;

	(void)state;
	one.key = key, one.value = value, two.key = key2, two.value = value;
	wire.env = entries, wire.n_env = 2;
	wire.entrypoint = wire.cmd = command;
	wire.n_entrypoint = 1, wire.n_cmd = 2;
	wire.size = size;
	wire.kernel = kernel;
	gpu.profile = profile, wire.gpu = &gpu;
	network.enabled_opt_case = HYPEMAN__INSTANCE__V1__NETWORK_SPEC__ENABLED_OPT_ENABLED;
	wire.network = &network;
	assert_int_equal(spec_from_wire(&wire, &spec, &err), 0);

	bytes = spec_save(spec, &length);
	assert_int_equal(spec_load(bytes, length, &again, &err), 0);

	assert_string_equal(again->name, "vm-1");
	assert_string_equal(again->image, spec->image);
	assert_int_equal(again->memory_bytes, UINT64_C(1536) << 20);
	assert_int_equal(again->overlay_bytes, spec->overlay_bytes);
	assert_false(again->network);
	assert_string_equal(again->gpu_profile, "L40S-1Q");
	assert_int_equal(strv_length(again->env), 2);
	assert_string_equal(again->env[0], "B=a=b");
	assert_string_equal(again->env[1], "K=a=b");
	assert_string_equal(again->entrypoint[0], "/run");
	assert_string_equal(again->cmd[1], "--all");
	assert_true(again->image_kernel);
}

static void damaged_bytes_do_not_load(void **state)
{
	struct spec *spec = NULL;
	struct err err;

	(void)state;
	assert_int_equal(spec_load("\xff\xff\xff", 3, &spec, &err), -1);
	assert_int_equal(spec_load("", 0, &spec, &err), -1);
	assert_null(spec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_left_out_gets_the_documented_defaults),
		cmocka_unit_test(names_follow_the_rule),
		cmocka_unit_test(each_refusal_names_the_field_and_the_value),
		cmocka_unit_test(environment_is_checked),
		cmocka_unit_test(too_much_text_is_refused),
		cmocka_unit_test(what_is_saved_loads_as_it_was),
		cmocka_unit_test(damaged_bytes_do_not_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
