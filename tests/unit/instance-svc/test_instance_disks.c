/* SPDX-License-Identifier: Apache-2.0 */
/* The config disk as we write it, read by the code that the guest reads it with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "instance-svc/disks.h"
#include "instance-svc/guest/config.h"

static char sh[] = "/bin/sh", dash_c[] = "-c", serve[] = "serve", all[] = "--all",
	    path[] = "PATH=/bin", who[] = "WHO=image", mine[] = "WHO=me=you", lines[] = "X=a\nb",
	    user[] = "app:app", workdir[] = "/srv", name[] = "vm-1";
static char *image_entrypoint[] = { sh, dash_c, NULL };
static char *image_cmd[] = { serve, NULL };
static char *image_env[] = { path, who, NULL };

static struct spec make_spec(void)
{
	return (struct spec){ .name = name, .network = true };
}

static struct image make_image(void)
{
	return (struct image){ .entrypoint = image_entrypoint,
			       .cmd = image_cmd,
			       .env = image_env,
			       .user = user,
			       .working_dir = workdir };
}

static void format(const struct spec *spec, const struct image *image, struct guest_config *ret)
{
	scoped_free uint8_t *bytes = NULL;
	struct err err;
	size_t size;

	assert_int_equal(disks_format_config(spec, image, &bytes, &size, &err), 0);
	assert_int_equal(size % 512, 0);
	assert_int_equal(guest_config_parse(bytes, size, ret, &err), 0);
}

static void expect_args(const struct guest_config *config, const char *const *expected)
{
	size_t count = 0;

	for (; expected[count]; count++)
		assert_string_equal(config->args[count], expected[count]);
	assert_int_equal(config->arg_count, count);
}

static void the_images_own_command_runs(void **state)
{
	static const char *const expected[] = { "/bin/sh", "-c", "serve", NULL };
	struct spec spec = make_spec();
	struct image image = make_image();
	struct guest_config config;

	(void)state;
	format(&spec, &image, &config);
	expect_args(&config, expected);
	assert_string_equal(config.user, "app:app");
	assert_string_equal(config.workdir, "/srv");
	assert_string_equal(config.hostname, "vm-1");
	assert_true(config.has_network);
	assert_int_equal(config.dns_count, 1);
	guest_config_done(&config);
}

static void an_own_cmd_keeps_the_entrypoint(void **state)
{
	static const char *const expected[] = { "/bin/sh", "-c", "--all", NULL };
	char *cmd[] = { all, NULL };
	struct spec spec = make_spec();
	struct image image = make_image();
	struct guest_config config;

	(void)state;
	spec.cmd = cmd;
	format(&spec, &image, &config);
	expect_args(&config, expected);
	guest_config_done(&config);
}

static void an_own_entrypoint_drops_the_images_cmd(void **state)
{
	static const char *const expected[] = { "serve", NULL };
	struct spec spec = make_spec();
	struct image image = make_image();
	struct guest_config config;

	(void)state;
	spec.entrypoint = image_cmd;
	format(&spec, &image, &config);
	expect_args(&config, expected);
	guest_config_done(&config);
}

static void variables_of_the_request_win(void **state)
{
	char *env[] = { mine, lines, NULL };
	struct spec spec = make_spec();
	struct image image = make_image();
	struct guest_config config;

	(void)state;
	spec.env = env;
	format(&spec, &image, &config);
	assert_int_equal(config.env_count, 3);
	assert_string_equal(config.env[0], "PATH=/bin");
	assert_string_equal(config.env[1], "WHO=me=you");
	assert_string_equal(config.env[2], "X=a\nb");
	guest_config_done(&config);
}

static void an_image_may_say_nothing_but_a_command(void **state)
{
	struct spec spec = make_spec();
	struct image image = { .cmd = image_cmd };
	struct guest_config config;

	(void)state;
	spec.network = false;
	format(&spec, &image, &config);
	assert_string_equal(config.user, "");
	assert_string_equal(config.workdir, "/");
	assert_false(config.has_network);
	guest_config_done(&config);
}

static void without_a_command_there_is_no_disk(void **state)
{
	struct spec spec = make_spec();
	struct image image = { .env = image_env };
	uint8_t *bytes = NULL;
	struct err err;
	size_t size;

	(void)state;
	assert_int_equal(disks_format_config(&spec, &image, &bytes, &size, &err), -1);
	assert_int_equal(err.reason, ERR_INVALID_ARGUMENT);
	assert_null(bytes);
}

static void a_config_that_is_too_big_is_refused(void **state)
{
	char *huge = calloc(1, GUEST_CONFIG_MAX_BYTES);
	char *cmd[] = { huge, NULL };
	struct spec spec = make_spec();
	struct image image = make_image();
	uint8_t *bytes = NULL;
	struct err err;
	size_t size;

	(void)state;
	memset(huge, 'x', GUEST_CONFIG_MAX_BYTES - 1);
	spec.cmd = cmd;
	assert_int_equal(disks_format_config(&spec, &image, &bytes, &size, &err), -1);
	assert_non_null(strstr(err.message, "at most 262144"));
	free(huge);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_images_own_command_runs),
		cmocka_unit_test(an_own_cmd_keeps_the_entrypoint),
		cmocka_unit_test(an_own_entrypoint_drops_the_images_cmd),
		cmocka_unit_test(variables_of_the_request_win),
		cmocka_unit_test(an_image_may_say_nothing_but_a_command),
		cmocka_unit_test(without_a_command_there_is_no_disk),
		cmocka_unit_test(a_config_that_is_too_big_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
