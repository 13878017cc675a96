/* SPDX-License-Identifier: Apache-2.0 */
#include "spec.h"

#include <errno.h>
#include <string.h>

static int spec_fail(struct err *err, const char *item, const char *why)
{
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "spec: '%s': %s (each is BOARD:COUNT[:mdev|:passthrough][@ADDRESS])", item,
		       why);
}

static int count_parse(const char *text, size_t *ret)
{
	size_t length = strlen(text);

	if (length == 0 || length > 2 || strspn(text, "0123456789") != length)
		return -EINVAL;
	*ret = strtoul(text, NULL, 10);
	return *ret >= 1 && *ret <= SPEC_GPUS_MAX ? 0 : -EINVAL;
}

static int mode_parse(const char *text, enum spec_mode *ret)
{
	if (!text)
		*ret = SPEC_DEFAULT;
	else if (strcmp(text, "mdev") == 0)
		*ret = SPEC_MDEV;
	else if (strcmp(text, "passthrough") == 0)
		*ret = SPEC_PASSTHROUGH;
	else
		return -EINVAL;
	return 0;
}

/* words is a copy of item, to be cut up. */
static int item_parse(const char *item, char *words, struct spec *spec, struct err *err)
{
	struct spec_gpu gpu = { 0 };
	char *address = strchr(words, '@');
	char *board, *mode;
	size_t count;

	if (address) {
		*address++ = '\0';
		gpu.has_address = true;
		if (bdf_parse(address, &gpu.address) < 0 || (gpu.address.devfn & 7) != 0)
			return spec_fail(err, item,
					 "an address is that of a function 0, such as "
					 "0000:82:00.0");
	}
	board = strsep(&words, ":");
	if (strlen(board) == 0 || strlen(board) >= sizeof(gpu.board))
		return spec_fail(err, item, "names no board");
	strcpy(gpu.board, board);
	if (!words || count_parse(strsep(&words, ":"), &count) < 0)
		return spec_fail(err, item, "a count is a number from 1 to 64");
	mode = strsep(&words, ":");
	if (words || mode_parse(mode, &gpu.mode) < 0)
		return spec_fail(err, item, "a mode is mdev or passthrough");
	if (gpu.has_address && count != 1)
		return spec_fail(err, item, "an address needs a count of 1");
	if (spec->gpu_count + count > SPEC_GPUS_MAX)
		return spec_fail(err, item, "a host has at most 64 GPUs");
	while (count--)
		spec->gpus[spec->gpu_count++] = gpu;
	return 0;
}

int spec_parse(const char *text, struct spec *ret, struct err *err)
{
	scoped_free char *copy = strdup(text);
	struct spec spec = { 0 };
	char *rest = copy, *item;

	if (!copy)
		return err_sys(err, ENOMEM, "cannot read the spec");
	while ((item = strsep(&rest, ",")) != NULL) {
		scoped_free char *words = strdup(item);

		if (!words)
			return err_sys(err, ENOMEM, "cannot read the spec");
		if (item_parse(item, words, &spec, err) < 0)
			return -1;
	}
	*ret = spec;
	return 0;
}
