/* SPDX-License-Identifier: Apache-2.0 */
#include "instance-svc/image_oci.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "architecture.h"

static int config_read(const char *format, struct image *image, struct err *err)
{
	char *text = with_architecture(format);
	int r = image_oci_read_config(text, strlen(text), image, err);

	free(text);
	return r;
}

static void a_config_gives_command_and_environment(void **state)
{
	struct image *image = calloc(1, sizeof(*image));
	struct err err;

	(void)state;
	assert_int_equal(config_read("{\"os\":\"linux\",\"architecture\":\"%s\",\"config\":{"
				     "\"Entrypoint\":[\"/bin/sh\",\"-c\"],\"Cmd\":[\"a b\"],"
				     "\"Env\":[\"A=b\",\"EMPTY=\",\"B==\"],\"User\":\"1000:33\","
				     "\"WorkingDir\":\"/srv\",\"ExposedPorts\":{\"80/tcp\":{}}}}\n",
				     image, &err),
			 0);
	assert_string_equal(image->entrypoint[0], "/bin/sh");
	assert_string_equal(image->entrypoint[1], "-c");
	assert_null(image->entrypoint[2]);
	assert_string_equal(image->cmd[0], "a b");
	assert_null(image->cmd[1]);
	assert_string_equal(image->env[2], "B==");
	assert_null(image->env[3]);
	assert_string_equal(image->user, "1000:33");
	assert_string_equal(image->working_dir, "/srv");
	image_free(image);
}

static void absent_and_null_members_are_empty(void **state)
{
	static const char *const configs[] = {
		"{\"os\":\"linux\",\"architecture\":\"%s\"}",
		"{\"os\":\"linux\",\"architecture\":\"%s\",\"config\":null}",
		("{\"os\":\"linux\",\"architecture\":\"%s\",\"config\":{\"Cmd\":null,"
		 "\"Entrypoint\":null,\"Env\":null,\"User\":null,\"WorkingDir\":null}}"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
		struct image *image = calloc(1, sizeof(*image));
		struct err err;

		assert_int_equal(config_read(configs[i], image, &err), 0);
		assert_null(image->entrypoint[0]);
		assert_null(image->cmd[0]);
		assert_null(image->env[0]);
		assert_string_equal(image->user, "");
		assert_string_equal(image->working_dir, "");
		image_free(image);
	}
}

static void a_config_that_cannot_be_used_says_why(void **state)
{
#define PLATFORM "{\"os\":\"linux\",\"architecture\":\"%s\",\"config\":"
	static const struct {
		const char *config, *message;
	} refused[] = {
		{ "", "its config is no JSON object" },
		{ "[]", "its config is no JSON object" },
		{ "{\"os\":\"linux\"} x", "its config is no JSON object" },
		{ PLATFORM "{\"User\":\"a\\u0000b\"}}", "its config is no JSON object" },
		{ "{\"architecture\":\"%s\"}", "its config's os is not a text" },
		{ "{\"os\":\"linux\"}", "its config's architecture is not a text" },
		{ "{\"os\":\"windows\",\"architecture\":\"%s\"}", "it is made for windows/" },
		{ "{\"os\":\"linux\",\"architecture\":\"s390x\"}",
		  "it is made for linux/s390x; this host runs linux/" },
		{ PLATFORM "[]}", "its config's config is not an object" },
		{ PLATFORM "{\"Cmd\":\"ls\"}}", "its config's Cmd is not a list of at most" },
		{ PLATFORM "{\"Entrypoint\":[1]}}", "its config's Entrypoint is not a list" },
		{ PLATFORM "{\"Env\":[\"A\"]}}", "its config's Env is not a list of NAME=value" },
		{ PLATFORM "{\"Env\":[\"=b\"]}}", "its config's Env is not a list of NAME=value" },
		{ PLATFORM "{\"User\":7}}", "its config's User is not a text" },
		{ PLATFORM "{\"User\":\"a\\nb\"}}", "its config's User is not free of control" },
		{ PLATFORM "{\"WorkingDir\":\"srv\"}}",
		  "its config's WorkingDir is not an absolute path" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct image *image = calloc(1, sizeof(*image));
		struct err err;

		assert_int_equal(config_read(refused[i].config, image, &err), -1);
		assert_int_equal(err.reason, ERR_FAILED_PRECONDITION);
		if (strncmp(err.message, refused[i].message, strlen(refused[i].message)) != 0)
			fail_msg("'%s' instead of '%s'", err.message, refused[i].message);
		image_free(image);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_config_gives_command_and_environment),
		cmocka_unit_test(absent_and_null_members_are_empty),
		cmocka_unit_test(a_config_that_cannot_be_used_says_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
