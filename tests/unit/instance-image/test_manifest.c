/* SPDX-License-Identifier: Apache-2.0 */
#include "instance-svc/image_manifest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "architecture.h"

#define DIGEST_A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define DIGEST_B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static int select_digest(const char *format, struct image_digest *ret, struct err *err)
{
	char *text = with_architecture(format);
	int r = image_manifest_select(text, strlen(text), ret, err);

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
	snprintf(manifest, sizeof(manifest),
		 "{\"config\":{\"digest\":\"%s\"},\"layers\":[{\"digest\":\"" DIGEST_A
		 "\",\"size\":9}]}",
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

static void a_layout_gives_the_config_and_the_layers_of_its_image(void **state)
{
	struct image_digest digest;
	struct layout layout = layout_make("{\"os\":\"linux\"}", &digest);
	struct image_manifest manifest;
	struct err err;

	(void)state;
	assert_int_equal(image_manifest_load(layout.path, &manifest, &err), 0);
	assert_string_equal(manifest.config, "{\"os\":\"linux\"}");
	assert_int_equal(manifest.config_length, strlen(manifest.config));
	assert_int_equal(manifest.layers.count, 1);
	assert_string_equal(manifest.layers.list[0].digest.s, DIGEST_A);
	image_manifest_done(&manifest);
	layout_remove(&layout);
}

static void a_changed_blob_is_noticed(void **state)
{
	struct image_digest digest;
	struct layout layout = layout_make("{\"os\":\"linux\"}", &digest);
	struct image_manifest manifest = { 0 };
	struct err err;

	(void)state;
	blob_write(&layout, digest.s, "{\"os\":\"linuX\"}");
	assert_int_equal(image_manifest_load(layout.path, &manifest, &err), -1);
	assert_non_null(strstr(err.message, "digest mismatch"));
	assert_null(manifest.config);
	layout_remove(&layout);
}

static int layers_read(const char *text, struct image_layers *ret, struct err *err)
{
	return image_manifest_read_layers(text, strlen(text), ret, err);
}

static void layers_have_digests_and_sizes(void **state)
{
	struct image_layers layers;
	struct err err;

	(void)state;
	assert_int_equal(layers_read("{\"layers\":[{\"digest\":\"" DIGEST_A "\",\"size\":7},"
				     "{\"digest\":\"" DIGEST_B "\",\"size\":1125899906842624}]}",
				     &layers, &err),
			 0);
	assert_int_equal(layers.count, 2);
	assert_string_equal(layers.list[1].digest.s, DIGEST_B);
	assert_int_equal(layers.list[0].bytes, 7);
	assert_int_equal(layers.bytes, 7 + IMAGE_LAYER_BYTES_MAX);
	image_layers_done(&layers);
	assert_int_equal(layers_read("{\"layers\":[]}", &layers, &err), 0);
	assert_int_equal(layers.count, 0);
	image_layers_done(&layers);
}

static void layers_that_make_no_sense_are_refused(void **state)
{
	static const char *const bad[] = {
		"{}",
		"{\"layers\":{}}",
		"{\"layers\":[{}]}",
		"{\"layers\":[{\"digest\":\"sha256:a\",\"size\":1}]}",
		"{\"layers\":[{\"digest\":\"" DIGEST_A "\"}]}",
		"{\"layers\":[{\"digest\":\"" DIGEST_A "\",\"size\":-1}]}",
		"{\"layers\":[{\"digest\":\"" DIGEST_A "\",\"size\":1.5}]}",
		"{\"layers\":[{\"digest\":\"" DIGEST_A "\",\"size\":\"1\"}]}",
		"{\"layers\":[{\"digest\":\"" DIGEST_A "\",\"size\":1125899906842625}]}",
	};
	struct image_layers layers;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(layers_read(bad[i], &layers, &err), -1);
		assert_int_equal(err.reason, ERR_FAILED_PRECONDITION);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_index_gives_this_machines_manifest),
		cmocka_unit_test(a_manifest_is_named_by_its_own_bytes),
		cmocka_unit_test(a_manifest_that_cannot_be_used_says_why),
		cmocka_unit_test(a_layout_gives_the_config_and_the_layers_of_its_image),
		cmocka_unit_test(a_changed_blob_is_noticed),
		cmocka_unit_test(layers_have_digests_and_sizes),
		cmocka_unit_test(layers_that_make_no_sense_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
