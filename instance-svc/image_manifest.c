/* SPDX-License-Identifier: Apache-2.0 */
#include "image_manifest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image_json.h"
#include "image_oci.h"

#define SHOWN_TARGETS 160 /* characters spent on the platforms an image has */

/* Choosing one. */

static bool text_is(const cJSON *object, const char *name, const char *wanted)
{
	const char *text = image_json_text(object, name);

	return text && strcmp(text, wanted) == 0;
}

static void add_platform(char shown[SHOWN_TARGETS], const cJSON *platform)
{
	const char *os = image_json_text(platform, "os"),
		   *architecture = image_json_text(platform, "architecture");
	size_t used = strlen(shown);

	if (os && architecture && strcmp(os, "unknown") != 0)
		snprintf(shown + used, SHOWN_TARGETS - used, "%s%s/%s", used > 0 ? ", " : "", os,
			 architecture);
}

static int select_from_index(const cJSON *manifests, struct image_digest *ret, struct err *err)
{
	const char *architecture = image_oci_architecture();
	char shown[SHOWN_TARGETS] = "";
	const cJSON *entry;

	cJSON_ArrayForEach(entry, manifests)
	{
		const cJSON *platform = cJSON_GetObjectItemCaseSensitive(entry, "platform");
		const char *digest = image_json_text(entry, "digest");

		add_platform(shown, platform);
		if (!text_is(platform, "os", IMAGE_OCI_OS) ||
		    !text_is(platform, "architecture", architecture))
			continue;
		if (!digest || !image_digest_is_valid(digest))
			return err_set(err, ERR_FAILED_PRECONDITION,
				       "its index has no sha256 digest for " IMAGE_OCI_OS "/%s",
				       architecture);
		snprintf(ret->s, sizeof(ret->s), "%s", digest);
		return 0;
	}
	return err_set(err, ERR_FAILED_PRECONDITION,
		       "it is not made for " IMAGE_OCI_OS "/%s, only for %s", architecture,
		       shown[0] != '\0' ? shown : "nothing it names");
}

int image_manifest_select(const char *document, size_t length, struct image_digest *ret,
			  struct err *err)
{
	scoped(cJSON_Delete) cJSON *root = NULL;
	const cJSON *manifests, *version;

	if (image_json_parse("manifest", document, length, &root, err) < 0)
		return -1;
	version = cJSON_GetObjectItemCaseSensitive(root, "schemaVersion");
	if (!cJSON_IsNumber(version) || version->valuedouble != 2)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "its manifest's schemaVersion is not 2");
	manifests = cJSON_GetObjectItemCaseSensitive(root, "manifests");
	if (cJSON_IsArray(manifests))
		return select_from_index(manifests, ret, err);
	if (!cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(root, "config")) ||
	    !cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(root, "layers")))
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "its manifest has neither manifests nor config and layers");
	*ret = image_digest_of(document, length);
	return 0;
}

/* Its layers. */

void image_layers_done(struct image_layers *layers)
{
	free(layers->list);
	*layers = (struct image_layers){ 0 };
}

/* A number that JSON holds exactly. */
static int read_size(const cJSON *layer, uint64_t *ret, struct err *err)
{
	const cJSON *size = cJSON_GetObjectItemCaseSensitive(layer, "size");
	double value = cJSON_IsNumber(size) ? size->valuedouble : -1;

	if (!(value >= 0 && value <= IMAGE_LAYER_BYTES_MAX) || (double)(uint64_t)value != value)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "its manifest gives a layer no size in bytes");
	*ret = (uint64_t)value;
	return 0;
}

static int read_layers(const cJSON *array, struct image_layers *layers, struct err *err)
{
	const cJSON *entry;

	cJSON_ArrayForEach(entry, array)
	{
		struct image_layer *layer = &layers->list[layers->count];
		const char *digest = image_json_text(entry, "digest");

		if (!digest || !image_digest_is_valid(digest))
			return err_set(err, ERR_FAILED_PRECONDITION,
				       "its manifest gives a layer no sha256 digest");
		if (read_size(entry, &layer->bytes, err) < 0)
			return -1;
		memcpy(layer->digest.s, digest, sizeof(layer->digest.s));
		layers->bytes += layer->bytes;
		layers->count++;
	}
	return 0;
}

int image_manifest_read_layers(const char *document, size_t length, struct image_layers *ret,
			       struct err *err)
{
	scoped(cJSON_Delete) cJSON *root = NULL;
	struct image_layers layers = { 0 };
	const cJSON *array;

	if (image_json_parse("manifest", document, length, &root, err) < 0)
		return -1;
	array = cJSON_GetObjectItemCaseSensitive(root, "layers");
	if (!cJSON_IsArray(array) || cJSON_GetArraySize(array) > IMAGE_LAYERS_MAX)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "its manifest has no list of at most %d layers", IMAGE_LAYERS_MAX);
	layers.list = calloc((size_t)cJSON_GetArraySize(array) + 1, sizeof(*layers.list));
	if (!layers.list)
		return err_sys(err, -ENOMEM, "cannot read its manifest");
	if (read_layers(array, &layers, err) < 0) {
		image_layers_done(&layers);
		return -1;
	}
	*ret = layers;
	return 0;
}

/* In a layout. */

/* A blob of the layout, checked against its name. */
static int blob_load(const char *layout, const char *digest, char **ret, size_t *ret_length,
		     struct err *err)
{
	scoped_free char *path = NULL, *text = NULL;

	if (!digest || !image_digest_is_valid(digest))
		return err_set(err, ERR_FAILED_PRECONDITION, "a blob has no sha256 digest");
	if (asprintf(&path, "%s/blobs/sha256/%s", layout, strchr(digest, ':') + 1) < 0)
		return err_sys(err, -ENOMEM, "cannot read %s", layout);
	if (image_oci_read_file(path, &text, ret_length, err) < 0)
		return -1;
	if (strcmp(image_digest_of(text, *ret_length).s, digest) != 0)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "digest mismatch: %s holds other bytes", digest);
	*ret = TAKE_PTR(text);
	return 0;
}

/* The manifest of the only image in it. */
static int load_manifest(const char *layout, char **ret, size_t *ret_length, struct err *err)
{
	scoped(cJSON_Delete) cJSON *index = NULL;
	scoped_free char *path = NULL, *text = NULL;
	const cJSON *manifests;
	size_t length;

	if (asprintf(&path, "%s/index.json", layout) < 0) {
		path = NULL;
		return err_sys(err, -ENOMEM, "cannot read %s", layout);
	}
	if (image_oci_read_file(path, &text, &length, err) < 0 ||
	    image_json_parse("layout index", text, length, &index, err) < 0)
		return -1;
	manifests = cJSON_GetObjectItemCaseSensitive(index, "manifests");
	if (cJSON_GetArraySize(manifests) != 1)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "its layout holds %d images instead of one",
			       cJSON_GetArraySize(manifests));
	return blob_load(layout, image_json_text(cJSON_GetArrayItem(manifests, 0), "digest"), ret,
			 ret_length, err);
}

int image_manifest_load(const char *layout, struct image_manifest *ret, struct err *err)
{
	scoped(cJSON_Delete) cJSON *root = NULL;
	scoped_free char *text = NULL;
	struct image_manifest manifest = { 0 };
	size_t length;

	if (load_manifest(layout, &text, &length, err) < 0 ||
	    image_json_parse("manifest", text, length, &root, err) < 0 ||
	    image_manifest_read_layers(text, length, &manifest.layers, err) < 0)
		return -1;
	if (blob_load(layout,
		      image_json_text(cJSON_GetObjectItemCaseSensitive(root, "config"), "digest"),
		      &manifest.config, &manifest.config_length, err) < 0) {
		image_manifest_done(&manifest);
		return -1;
	}
	*ret = manifest;
	return 0;
}

void image_manifest_done(struct image_manifest *manifest)
{
	image_layers_done(&manifest->layers);
	free(manifest->config);
	*manifest = (struct image_manifest){ 0 };
}
