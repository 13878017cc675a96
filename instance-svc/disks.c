/* SPDX-License-Identifier: Apache-2.0 */
#include "disks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/scoped.h"
#include "guest/config.h"
#include "process.h"
#include "size.h"
#include "strv.h"
#include "supervisor/protocol.h"
#include "vm_command.h"

#define SECTOR	512
#define MKFS_MS 60000

/* Bytes under construction; `failed` sticks. */
struct buffer {
	uint8_t *bytes;
	size_t size;
	bool failed;
};

static void put(struct buffer *buffer, const char *key, const char *value)
{
	size_t more = strlen(key) + 1 + strlen(value) + 1;
	uint8_t *bytes = buffer->failed ? NULL : realloc(buffer->bytes, buffer->size + more);

	if (!bytes) {
		buffer->failed = true;
		return;
	}
	buffer->bytes = bytes;
	snprintf((char *)bytes + buffer->size, more, "%s=%s", key, value);
	buffer->size += more;
}

static void put_command(struct buffer *buffer, const struct spec *spec, const struct image *image)
{
	bool own_entrypoint = strv_length(spec->entrypoint) > 0;
	char *const *entrypoint = own_entrypoint ? spec->entrypoint : image->entrypoint;
	char *const *cmd = image->cmd;

	if (own_entrypoint || strv_length(spec->cmd) > 0)
		cmd = spec->cmd;
	for (size_t i = 0; entrypoint && entrypoint[i]; i++)
		put(buffer, "arg", entrypoint[i]);
	for (size_t i = 0; cmd && cmd[i]; i++)
		put(buffer, "arg", cmd[i]);
}

/* Whether `entries` set the variable that `entry` ("NAME=value") sets. */
static bool sets(char *const *entries, const char *entry)
{
	size_t name = strcspn(entry, "=") + 1;

	for (size_t i = 0; entries && entries[i]; i++)
		if (strncmp(entries[i], entry, name) == 0)
			return true;
	return false;
}

static void put_env(struct buffer *buffer, const struct spec *spec, const struct image *image)
{
	for (size_t i = 0; image->env && image->env[i]; i++)
		if (!sets(spec->env, image->env[i]))
			put(buffer, "env", image->env[i]);
	for (size_t i = 0; spec->env && spec->env[i]; i++)
		put(buffer, "env", spec->env[i]);
}

/* In the order of their disks. */
static void put_volumes(struct buffer *buffer, const struct spec *spec)
{
	for (size_t i = 0; i < spec->volume_count; i++) {
		char text[SPEC_PATH_MAX + 4];

		snprintf(text, sizeof(text), "%s:%s", spec->volumes[i].read_only ? "ro" : "rw",
			 spec->volumes[i].path);
		put(buffer, "volume", text);
	}
}

static void put_machine(struct buffer *buffer, const struct spec *spec, const struct image *image)
{
	char address[64];

	put(buffer, "user", image->user ? image->user : "");
	put(buffer, "workdir",
	    image->working_dir && *image->working_dir ? image->working_dir : "/");
	put(buffer, "hostname", spec->name);
	put_volumes(buffer, spec);
	if (!spec->network)
		return;
	snprintf(address, sizeof(address), "%s/%d", VM_GUEST_ADDRESS, VM_GUEST_PREFIX);
	put(buffer, "ip", address);
	put(buffer, "gateway", VM_GUEST_GATEWAY);
	put(buffer, "dns", VM_GUEST_DNS);
}

/* Behind the records comes an empty one, then zeros up to a whole sector. */
static int finish(struct buffer *buffer, struct err *err)
{
	size_t size = (buffer->size + 1 + SECTOR - 1) / SECTOR * SECTOR;
	uint8_t *bytes = buffer->failed ? NULL : realloc(buffer->bytes, size);

	if (!bytes)
		return err_sys(err, ENOMEM, "cannot write the config disk");
	memset(bytes + buffer->size, 0, size - buffer->size);
	buffer->bytes = bytes;
	buffer->size = size;
	if (size > GUEST_CONFIG_MAX_BYTES)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "the command and the environment have %zu bytes: at most %d", size,
			       GUEST_CONFIG_MAX_BYTES);
	return 0;
}

int disks_format_config(const struct spec *spec, const struct image *image, uint8_t **ret,
			size_t *ret_size, struct err *err)
{
	struct buffer buffer = { .bytes = malloc(strlen(GUEST_CONFIG_MAGIC)) };
	size_t before;

	if (!buffer.bytes)
		return err_sys(err, ENOMEM, "cannot write the config disk");
	buffer.size = strlen(GUEST_CONFIG_MAGIC);
	memcpy(buffer.bytes, GUEST_CONFIG_MAGIC, buffer.size);
	before = buffer.size;
	put_command(&buffer, spec, image);
	if (!buffer.failed && buffer.size == before) {
		free(buffer.bytes);
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "the image names no command: give entrypoint or cmd");
	}
	put_env(&buffer, spec, image);
	put_machine(&buffer, spec, image);
	if (finish(&buffer, err) < 0) {
		free(buffer.bytes);
		return -1;
	}
	*ret = buffer.bytes;
	*ret_size = buffer.size;
	return 0;
}

static int make_config(int directory, const struct spec *spec, const struct image *image,
		       struct err *err)
{
	scoped_free uint8_t *bytes = NULL;
	scoped_fd int fd = -1;
	size_t size;

	if (disks_format_config(spec, image, &bytes, &size, err) < 0)
		return -1;
	fd = openat(directory, VM_CONFIG_FILE,
		    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, errno, "cannot make the config disk");
	if (write(fd, bytes, size) != (ssize_t)size)
		return err_sys(err, errno ? errno : ENOSPC, "cannot write the config disk");
	return 0;
}

static int run_mkfs(const char *file, const volatile bool *cancelled, struct err *err)
{
	/* No reserved blocks, root of the guest owns it, tables are written by and by. */
	const char *const argv[] = {
		"mkfs.ext4",
		"-q",
		"-F",
		"-m",
		"0",
		"-E",
		"root_owner=0:0,lazy_itable_init=1,lazy_journal_init=1,nodiscard",
		file,
		NULL
	};
	const struct process_spec spec = { .argv = argv };
	const struct process_limits limits = { .timeout_ms = MKFS_MS, .cancelled = cancelled };
	struct process_result result;
	int r = 0;

	if (process_run(&spec, &limits, &result, err) < 0)
		return -1;
	if (!WIFEXITED(result.status) || WEXITSTATUS(result.status) != 0)
		r = err_set(err, ERR_INTERNAL, "mkfs.ext4 %s: %.200s",
			    PROCESS_STATUS_STR(result.status), result.err.text);
	process_result_done(&result);
	return r;
}

int disks_make_ext4(const char *path, uint64_t bytes, const volatile bool *cancelled,
		    struct err *err)
{
	scoped_fd int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
		return err_sys(err, errno, "cannot make a disk of %s", SIZE_STR(bytes));
	return run_mkfs(path, cancelled, err);
}

static int make_overlay(const char *path, uint64_t bytes, const volatile bool *cancelled,
			struct err *err)
{
	scoped_free char *file = NULL;

	if (asprintf(&file, "%s/%s", path, VM_OVERLAY_FILE) < 0) {
		file = NULL;
		return err_sys(err, ENOMEM, "cannot make the overlay disk");
	}
	return disks_make_ext4(file, bytes, cancelled, err);
}

int disks_make(int directory, const char *path, const struct spec *spec, const struct image *image,
	       bool keep_overlay, const volatile bool *cancelled, struct err *err)
{
	if (make_config(directory, spec, image, err) < 0)
		return -1;
	if (keep_overlay)
		return 0;
	return make_overlay(path, spec->overlay_bytes, cancelled, err);
}

uint64_t disks_overlay_usage(int directory)
{
	struct stat st;

	if (fstatat(directory, VM_OVERLAY_FILE, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return (uint64_t)st.st_blocks * 512;
}
