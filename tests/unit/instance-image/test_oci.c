/* SPDX-License-Identifier: Apache-2.0 */
#include "instance-svc/image_oci.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define DIGEST_A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define DIGEST_B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* A text with this machine's architecture in place of a '%s'. */
static char *with_architecture(const char *format)
{
	const char *at = strstr(format, "%s");
	char *text = NULL;

	assert_true(asprintf(&text, "%.*s%s%s", at ? (int)(at - format) : (int)strlen(format),
			     format, at ? image_oci_architecture() : "", at ? at + 2 : "") >= 0);
	return text;
}

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

static int select_digest(const char *format, struct image_digest *ret, struct err *err)
{
	char *text = with_architecture(format);
	int r = image_oci_select(text, strlen(text), ret, err);

	free(text);
	return r;
}

static void an_index_gives_this_machines_manifest(void **state)
{
	struct image_digest digest;
	struct err err;

	(void)state;
	assert_int_equal(
		select_digest("{\"schemaVersion\":2,\"manifests\":["
			      "{\"digest\":\"" DIGEST_A "\",\"platform\":{\"os\":\"linux\","
			      "\"architecture\":\"s390x\"}},"
			      "{\"digest\":\"" DIGEST_B "\",\"platform\":{\"os\":\"linux\","
			      "\"architecture\":\"%s\"}},"
			      "{\"digest\":\"" DIGEST_A "\",\"platform\":{\"os\":\"unknown\","
			      "\"architecture\":\"unknown\"}}]}",
			      &digest, &err),
		0);
	assert_string_equal(digest.s, DIGEST_B);
}

static void a_manifest_is_named_by_its_own_bytes(void **state)
{
	static const char manifest[] = "{\"schemaVersion\":2,\"config\":{},\"layers\":[]}";
	struct image_digest digest;
	struct err err;

	(void)state;
	assert_int_equal(select_digest(manifest, &digest, &err), 0);
	assert_string_equal(digest.s, image_digest_of(manifest, strlen(manifest)).s);
}

static void a_manifest_that_cannot_be_used_says_why(void **state)
{
	static const struct {
		const char *document, *message;
	} refused[] = {
		{ "<html>", "its manifest is no JSON object" },
		{ "{\"schemaVersion\":1,\"fsLayers\":[]}",
		  "its manifest's schemaVersion is not 2" },
		{ "{\"schemaVersion\":2}",
		  "its manifest has neither manifests nor config and layers" },
		{ "{\"schemaVersion\":2,\"manifests\":[]}", "it is not made for linux/" },
		{ "{\"schemaVersion\":2,\"manifests\":[1,{\"platform\":{\"os\":\"linux\","
		  "\"architecture\":\"%s\"},\"digest\":\"../../x\"}]}",
		  "its index has no sha256 digest for linux/" },
	};
	struct image_digest digest;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		assert_int_equal(select_digest(refused[i].document, &digest, &err), -1);
		if (strncmp(err.message, refused[i].message, strlen(refused[i].message)) != 0)
			fail_msg("'%s' instead of '%s'", err.message, refused[i].message);
	}
	assert_int_equal(select_digest("{\"schemaVersion\":2,\"manifests\":[{\"platform\":{"
				       "\"os\":\"linux\",\"architecture\":\"s390x\"}}]}",
				       &digest, &err),
			 -1);
	assert_non_null(strstr(err.message, "only for linux/s390x"));
}

/* A layout folder, as skopeo writes it. */
struct layout {
	char path[64];
};

static void file_write(const struct layout *layout, const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", layout->path, name);
	file = fopen(path, "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void blob_write(const struct layout *layout, const char *digest, const char *text)
{
	char name[128];

	snprintf(name, sizeof(name), "blobs/sha256/%s", strchr(digest, ':') + 1);
	file_write(layout, name, text);
}

static struct layout layout_make(const char *config, struct image_digest *ret_config)
{
	struct layout layout = { "/tmp/hypeman-layout-XXXXXX" };
	struct image_digest manifest_digest;
	char manifest[512], index[512], folder[128];

	assert_non_null(mkdtemp(layout.path));
	snprintf(folder, sizeof(folder), "%s/blobs", layout.path);
	mkdir(folder, 0700);
	snprintf(folder, sizeof(folder), "%s/blobs/sha256", layout.path);
	mkdir(folder, 0700);
	*ret_config = image_digest_of(config, strlen(config));
	snprintf(manifest, sizeof(manifest), "{\"config\":{\"digest\":\"%s\"},\"layers\":[]}",
		 ret_config->s);
	manifest_digest = image_digest_of(manifest, strlen(manifest));
	snprintf(index, sizeof(index), "{\"manifests\":[{\"digest\":\"%s\"}]}", manifest_digest.s);
	file_write(&layout, "index.json", index);
	blob_write(&layout, manifest_digest.s, manifest);
	blob_write(&layout, ret_config->s, config);
	return layout;
}

static void layout_remove(const struct layout *layout)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", layout->path);
	assert_int_equal(system(command), 0);
}

static void a_layout_gives_the_config_of_its_image(void **state)
{
	struct image_digest digest;
	struct layout layout = layout_make("{\"os\":\"linux\"}", &digest);
	char *config = NULL;
	size_t length;
	struct err err;

	(void)state;
	assert_int_equal(image_oci_load_config(layout.path, &config, &length, &err), 0);
	assert_string_equal(config, "{\"os\":\"linux\"}");
	assert_int_equal(length, strlen(config));
	free(config);
	layout_remove(&layout);
}

static void a_changed_blob_is_noticed(void **state)
{
	struct image_digest digest;
	struct layout layout = layout_make("{\"os\":\"linux\"}", &digest);
	char *config = NULL;
	size_t length;
	struct err err;

	(void)state;
	blob_write(&layout, digest.s, "{\"os\":\"linuX\"}");
	assert_int_equal(image_oci_load_config(layout.path, &config, &length, &err), -1);
	assert_non_null(strstr(err.message, "digest mismatch"));
	assert_null(config);
	layout_remove(&layout);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_config_gives_command_and_environment),
		cmocka_unit_test(absent_and_null_members_are_empty),
		cmocka_unit_test(a_config_that_cannot_be_used_says_why),
		cmocka_unit_test(an_index_gives_this_machines_manifest),
		cmocka_unit_test(a_manifest_is_named_by_its_own_bytes),
		cmocka_unit_test(a_manifest_that_cannot_be_used_says_why),
		cmocka_unit_test(a_layout_gives_the_config_of_its_image),
		cmocka_unit_test(a_changed_blob_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
