/* SPDX-License-Identifier: Apache-2.0 */
#include "image_kernel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/scoped.h"
#include "image_failure.h"
#include "image_publish.h"
#include "utf8.h"

#define TAKE_LIMIT_MS (10 * 60 * 1000)
#define REASON_MAX    256

/* ---- While the image is unpacked ---- */

/* "image-kernel: the image has no ...": who says so is of no interest. */
static const char *skip_tool(const char *text)
{
	static const char *const tools[] = { "image-kernel: ", "build-guest: " };

	for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++)
		if (strncmp(text, tools[i], strlen(tools[i])) == 0)
			return text + strlen(tools[i]);
	return text;
}

static int write_reason(const struct image_work *work, const char *said, int status,
			struct err *err)
{
	struct image_failure failure = image_failure_read(said);
	char path[PATH_MAX], reason[REASON_MAX];
	int r;

	if (failure.reason == ERR_INSUFFICIENT_CAPACITY)
		return err_set(err, failure.reason, "%s", failure.text);
	utf8_copy(reason, sizeof(reason),
		  failure.text[0] ? skip_tool(failure.text) : PROCESS_STATUS_STR(status));
	snprintf(path, sizeof(path), "%s/nokernel", work->path);
	r = image_publish_write(path, reason, strlen(reason));
	return r < 0 ? err_sys(err, r, "cannot write %s", path) : 0;
}

int image_kernel_take(const struct image_work *work, const struct image_store_options *options,
		      const volatile bool *cancelled, struct err *err)
{
	static const char *const argv[] = { "/tools/image-kernel", "--rootfs",
					    "/work/rootfs",	   "--init",
					    "/tools/guest-init",   "--out",
					    "/work/kernel",	   NULL };
	const struct image_jail_run run = {
		.jail = IMAGE_JAIL_OWNERS,
		.argv = argv,
		.options = options,
		.tools = true,
		.cancelled = cancelled,
		.timeout_ms = TAKE_LIMIT_MS,
	};
	struct process_result result;
	int r = 0;

	if (image_work_run(work, &run, &result, err) < 0)
		return -1;
	if (result.status != 0)
		r = write_reason(work, result.err.text, result.status, err);
	process_result_done(&result);
	return r;
}

/* ---- Later ---- */

/* What was written when the image was pulled, or an empty text. */
static void read_reason(const char *path, char ret[REASON_MAX])
{
	scoped_file FILE *file = fopen(path, "re");

	if (!file || !fgets(ret, REASON_MAX, file))
		ret[0] = '\0';
}

int image_kernel_find(const char *reference, const char *disk_path, struct kernel_paths *ret,
		      struct err *err)
{
	const int length = (int)(strlen(disk_path) - strlen(".erofs"));
	char path[PATH_MAX], reason[REASON_MAX];

	snprintf(ret->kernel, PATH_MAX, "%.*s.vmlinuz", length, disk_path);
	snprintf(ret->initramfs, PATH_MAX, "%.*s.initramfs", length, disk_path);
	if (access(ret->kernel, R_OK) == 0 && access(ret->initramfs, R_OK) == 0)
		return 0;
	snprintf(path, sizeof(path), "%.*s.nokernel", length, disk_path);
	read_reason(path, reason);
	return err_set(
		err, ERR_FAILED_PRECONDITION,
		"image '%s' cannot boot a kernel of its own: %s; without \"kernel\" it boots "
		"this host's",
		reference,
		reason[0] ? reason
			  : "nobody looked for one when it was pulled (delete it, and pull "
			    "it again)");
}
