/* SPDX-License-Identifier: Apache-2.0 */
#include "image_oci.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "strv.h"

#define TEXT_MAX      4096 /* of a user or a working directory */
#define LIST_MAX      4096 /* members of entrypoint, cmd, env */
#define SHOWN_TARGETS 160  /* characters spent on the platforms an image has */

SCOPED_DEFINE(cJSON *, cJSON_Delete);

const char *image_oci_architecture(void)
{
	static const char *const names[][2] = { { "x86_64", "amd64" }, { "aarch64", "arm64" } };
	struct utsname machine;

	uname(&machine);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(machine.machine, names[i][0]) == 0)
			return names[i][1];
	}
	return "unknown";
}

/* cJSON ends a string at an escaped NUL instead of refusing it. */
static int document_parse(const char *what, const char *document, size_t length, cJSON **ret,
			  struct err *err)
{
	cJSON *root = NULL;
	const char *end = NULL;

	if (length <= IMAGE_OCI_DOCUMENT_BYTES && !memmem(document, length, "\\u0000", 6))
		root = cJSON_ParseWithLengthOpts(document, length, &end, false);
	while (root && end < document + length && strchr(" \t\r\n", *end) && *end != '\0')
		end++;
	if (!root || end != document + length || !cJSON_IsObject(root)) {
		cJSON_Delete(root);
		return err_set(err, ERR_FAILED_PRECONDITION, "its %s is no JSON object", what);
	}
	*ret = root;
	return 0;
}

static const char *text_of(const cJSON *object, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

static bool text_is(const cJSON *object, const char *name, const char *wanted)
{
	const char *text = text_of(object, name);

	return text && strcmp(text, wanted) == 0;
}

/* Choosing the manifest. */

static void add_platform(char shown[SHOWN_TARGETS], const cJSON *platform)
{
	const char *os = text_of(platform, "os"), *architecture = text_of(platform, "architecture");
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
		const char *digest = text_of(entry, "digest");

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

int image_oci_select(const char *document, size_t length, struct image_digest *ret, struct err *err)
{
	scoped(cJSON_Delete) cJSON *root = NULL;
	const cJSON *manifests, *version;

	if (document_parse("manifest", document, length, &root, err) < 0)
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

/* The config. */

static int config_fault(struct err *err, const char *member, const char *wanted)
{
	return err_set(err, ERR_FAILED_PRECONDITION, "its config's %s is not %s", member, wanted);
}

/* Absent and null are an empty text. */
static int read_text(const cJSON *object, const char *member, char **ret, struct err *err)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, member);
	const char *text = !item || cJSON_IsNull(item) ? "" : cJSON_GetStringValue(item);

	if (!text || strlen(text) > TEXT_MAX)
		return config_fault(err, member, "a text of at most 4096 bytes");
	for (const char *c = text; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return config_fault(err, member, "free of control characters");
	}
	*ret = strdup(text);
	return *ret ? 0 : err_sys(err, -ENOMEM, "cannot read its config");
}

/* Absent and null are an empty list. */
static int read_list(const cJSON *object, const char *member, char ***ret, struct err *err)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, member), *entry;

	*ret = calloc(1, sizeof(**ret));
	if (!*ret)
		return err_sys(err, -ENOMEM, "cannot read its config");
	if (!item || cJSON_IsNull(item))
		return 0;
	if (!cJSON_IsArray(item) || cJSON_GetArraySize(item) > LIST_MAX)
		return config_fault(err, member, "a list of at most 4096 texts");
	cJSON_ArrayForEach(entry, item)
	{
		if (!cJSON_IsString(entry))
			return config_fault(err, member, "a list of at most 4096 texts");
		if (strv_append(ret, entry->valuestring) < 0)
			return err_sys(err, -ENOMEM, "cannot read its config");
	}
	return 0;
}

static int check_platform(const cJSON *root, struct err *err)
{
	const char *os = text_of(root, "os"), *architecture = text_of(root, "architecture");

	if (!os || !architecture)
		return config_fault(err, os ? "architecture" : "os", "a text");
	if (strcmp(os, IMAGE_OCI_OS) != 0 || strcmp(architecture, image_oci_architecture()) != 0)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "it is made for %.64s/%.64s; this host runs " IMAGE_OCI_OS "/%s", os,
			       architecture, image_oci_architecture());
	return 0;
}

static int check_values(const struct image *image, struct err *err)
{
	for (char **env = image->env; *env; env++) {
		if ((*env)[0] == '=' || !strchr(*env, '='))
			return config_fault(err, "Env", "a list of NAME=value");
	}
	if (image->working_dir[0] != '\0' && image->working_dir[0] != '/')
		return config_fault(err, "WorkingDir", "an absolute path");
	return 0;
}

int image_oci_read_config(const char *document, size_t length, struct image *image, struct err *err)
{
	scoped(cJSON_Delete) cJSON *root = NULL;
	const cJSON *config;

	if (document_parse("config", document, length, &root, err) < 0 ||
	    check_platform(root, err) < 0)
		return -1;
	config = cJSON_GetObjectItemCaseSensitive(root, "config");
	if (config && !cJSON_IsNull(config) && !cJSON_IsObject(config))
		return config_fault(err, "config", "an object");
	if (read_list(config, "Entrypoint", &image->entrypoint, err) < 0 ||
	    read_list(config, "Cmd", &image->cmd, err) < 0 ||
	    read_list(config, "Env", &image->env, err) < 0 ||
	    read_text(config, "User", &image->user, err) < 0 ||
	    read_text(config, "WorkingDir", &image->working_dir, err) < 0)
		return -1;
	return check_values(image, err);
}

/* Files. */

int image_oci_read_file(const char *path, char **ret, size_t *ret_length, struct err *err)
{
	scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	scoped_free char *text = NULL;
	struct stat status;
	size_t length = 0;
	ssize_t n = 1;

	if (fd < 0 || fstat(fd, &status) < 0)
		return err_sys(err, errno, "cannot read %s", path);
	if (!S_ISREG(status.st_mode) || status.st_size > IMAGE_OCI_DOCUMENT_BYTES)
		return err_set(err, ERR_FAILED_PRECONDITION, "%s is no file of at most %d bytes",
			       path, IMAGE_OCI_DOCUMENT_BYTES);
	text = malloc((size_t)status.st_size + 1);
	if (!text)
		return err_sys(err, -ENOMEM, "cannot read %s", path);
	while (length < (size_t)status.st_size && n > 0) {
		n = read(fd, text + length, (size_t)status.st_size - length);
		if (n < 0)
			return err_sys(err, errno, "cannot read %s", path);
		length += (size_t)n;
	}
	text[length] = '\0';
	*ret = TAKE_PTR(text);
	*ret_length = length;
	return 0;
}

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

int image_oci_load_config(const char *layout, char **ret, size_t *ret_length, struct err *err)
{
	scoped(cJSON_Delete) cJSON *index = NULL, *manifest = NULL;
	scoped_free char *path = NULL, *index_text = NULL, *manifest_text = NULL;
	const cJSON *manifests;
	size_t length;

	if (asprintf(&path, "%s/index.json", layout) < 0)
		return err_sys(err, -ENOMEM, "cannot read %s", layout);
	if (image_oci_read_file(path, &index_text, &length, err) < 0 ||
	    document_parse("layout index", index_text, length, &index, err) < 0)
		return -1;
	manifests = cJSON_GetObjectItemCaseSensitive(index, "manifests");
	if (cJSON_GetArraySize(manifests) != 1)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "its layout holds %d images instead of one",
			       cJSON_GetArraySize(manifests));
	if (blob_load(layout, text_of(cJSON_GetArrayItem(manifests, 0), "digest"), &manifest_text,
		      &length, err) < 0 ||
	    document_parse("manifest", manifest_text, length, &manifest, err) < 0)
		return -1;
	return blob_load(layout,
			 text_of(cJSON_GetObjectItemCaseSensitive(manifest, "config"), "digest"),
			 ret, ret_length, err);
}
