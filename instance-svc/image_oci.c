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

#include "image_json.h"
#include "strv.h"

#define TEXT_MAX 4096 /* of a user or a working directory */
#define LIST_MAX 4096 /* members of entrypoint, cmd, env */

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
	const char *os = image_json_text(root, "os"),
		   *architecture = image_json_text(root, "architecture");

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

	if (image_json_parse("config", document, length, &root, err) < 0 ||
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
	if (!S_ISREG(status.st_mode) || status.st_size > IMAGE_JSON_BYTES_MAX)
		return err_set(err, ERR_FAILED_PRECONDITION, "%s is no file of at most %d bytes",
			       path, IMAGE_JSON_BYTES_MAX);
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
