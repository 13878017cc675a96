/* SPDX-License-Identifier: Apache-2.0 */
#include "instance-svc/image_reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "instance-svc/image.h"

#define DIGEST "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void references_are_completed_as_docker_does(void **state)
{
	static const struct {
		const char *given, *normal;
	} known[] = {
		{ "busybox", "docker.io/library/busybox:latest" },
		{ "busybox:1.36", "docker.io/library/busybox:1.36" },
		{ "nvidia/cuda:12.4.1-runtime-ubuntu22.04",
		  "docker.io/nvidia/cuda:12.4.1-runtime-ubuntu22.04" },
		{ "docker.io/nvidia/cuda", "docker.io/nvidia/cuda:latest" },
		{ "docker.io/busybox", "docker.io/library/busybox:latest" },
		{ "index.docker.io/library/busybox", "docker.io/library/busybox:latest" },
		{ "localhost/demo", "localhost/demo:latest" },
		{ "localhost:5000/demo", "localhost:5000/demo:latest" },
		{ "127.0.0.1:5000/a/b/c:V_1.x", "127.0.0.1:5000/a/b/c:V_1.x" },
		{ "ghcr.io/a__b/c--d.e_f", "ghcr.io/a__b/c--d.e_f:latest" },
		{ "Registry.Example.org/x", "Registry.Example.org/x:latest" },
		{ "busybox@" DIGEST, "docker.io/library/busybox@" DIGEST },
		{ "busybox:1.36@" DIGEST, "docker.io/library/busybox@" DIGEST },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		char *normal = NULL, *again = NULL;
		struct err err;

		assert_int_equal(image_reference_normalize(known[i].given, "image", &normal, &err),
				 0);
		assert_string_equal(normal, known[i].normal);
		assert_int_equal(image_reference_normalize(normal, "image", &again, &err), 0);
		assert_string_equal(again, normal);
		free(normal);
		free(again);
	}
}

static void other_forms_are_refused_with_the_field(void **state)
{
	static const char *const refused[] = {
		"",
		"docker://busybox",
		"oci:/etc",
		"dir:/",
		"/etc/passwd",
		"../x",
		"a/../b",
		"a//b",
		"a/",
		"/a",
		"Busybox",
		"docker.io/Nvidia/cuda",
		"a:",
		"a:b:c",
		"a: b",
		"a:.x",
		"a:-x",
		"a@",
		"a@sha256:12",
		"a@md5:0",
		"a@" DIGEST "0",
		"a b",
		"a\nb",
		"-a/b",
		"--flag",
		"a..b/c",
		"x.-y/c",
		"host:/a",
		"host:99999/a",
		"host:1x/a",
		"a___b",
		"a._b",
		"_a",
		"a-",
		"[::1]:5000/a",
		"a:b/c",
		"\xc3\xa4",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		char *normal = NULL;
		struct err err = { 0 };

		if (image_reference_normalize(refused[i], "instance.image", &normal, &err) == 0)
			fail_msg("'%s' was taken as '%s'", refused[i], normal);
		assert_int_equal(err.reason, ERR_INVALID_ARGUMENT);
		assert_string_equal(err.field, "instance.image");
		assert_null(normal);
	}
}

static void lengths_are_bounded(void **state)
{
	char text[400], tag[140];
	char *normal = NULL;
	struct err err;

	(void)state;
	memset(text, 'a', sizeof(text));
	text[255] = '\0'; /* fits, but not once it is completed */
	assert_int_equal(image_reference_normalize(text, "image", &normal, &err), -1);
	text[255] = 'a';
	text[256] = '\0';
	assert_int_equal(image_reference_normalize(text, "image", &normal, &err), -1);
	text[255 - strlen("docker.io/library/:latest")] = '\0';
	assert_int_equal(image_reference_normalize(text, "image", &normal, &err), 0);
	assert_int_equal(strlen(normal), 255);
	free(normal);

	memset(tag, 't', sizeof(tag));
	memcpy(tag, "a:", 2);
	tag[2 + 129] = '\0';
	assert_int_equal(image_reference_normalize(tag, "image", &normal, &err), -1);
	tag[2 + 128] = '\0';
	assert_int_equal(image_reference_normalize(tag, "image", &normal, &err), 0);
	free(normal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(references_are_completed_as_docker_does),
		cmocka_unit_test(other_forms_are_refused_with_the_field),
		cmocka_unit_test(lengths_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
