/* SPDX-License-Identifier: Apache-2.0 */
#include "spec.h"

#include <errno.h>
#include <string.h>

static int spec_fail(struct err *err, const char *item, const char *why)
{
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "spec: '%s': %s (each is BOARD:COUNT[:OPTION...][@ADDRESS])", item, why);
}

static int count_parse(const char *text, size_t *ret)
{
	size_t length = strlen(text);

	if (length == 0 || length > 2 || strspn(text, "0123456789") != length)
		return -EINVAL;
	*ret = strtoul(text, NULL, 10);
	return *ret >= 1 && *ret <= SPEC_GPUS_MAX ? 0 : -EINVAL;
}

/* -1 is what the kernel says where there are no nodes. */
static int numa_parse(const char *text, struct spec_gpu *gpu)
{
	size_t length = strlen(text);

	gpu->has_numa_node = true;
	gpu->numa_node = -1;
	if (strcmp(text, "-1") == 0)
		return 0;
	if (length == 0 || length > 3 || strspn(text, "0123456789") != length)
		return -EINVAL;
	gpu->numa_node = atoi(text);
	return 0;
}

static int option_parse(const char *text, struct spec_gpu *gpu)
{
	static const struct {
		const char *name;
		enum spec_mode mode;
	} modes[] = {
		{ "mdev", SPEC_MDEV },
		{ "vendor", SPEC_VENDOR },
		{ "passthrough", SPEC_PASSTHROUGH },
	};

	if (strncmp(text, "numa=", 5) == 0 && !gpu->has_numa_node)
		return numa_parse(text + 5, gpu);
	if (strcmp(text, "plain-list") == 0) {
		gpu->has_plain_list = true;
		return 0;
	}
	if (strcmp(text, "same-group") == 0) {
		gpu->has_same_group = true;
		return 0;
	}
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(text, modes[i].name) != 0 || gpu->mode != SPEC_DEFAULT)
			continue;
		gpu->mode = modes[i].mode;
		return 0;
	}
	return -EINVAL;
}

/* words is a copy of item, to be cut up. */
static int item_parse(const char *item, char *words, struct spec *spec, struct err *err)
{
	struct spec_gpu gpu = { 0 };
	char *address = strchr(words, '@');
	char *board;
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
	while (words)
		if (option_parse(strsep(&words, ":"), &gpu) < 0)
			return spec_fail(err, item,
					 "an option is mdev, vendor, passthrough, plain-list, "
					 "same-group or numa=NODE, once");
	if (gpu.has_plain_list && gpu.mode != SPEC_VENDOR)
		return spec_fail(err, item, "plain-list goes with vendor");
	if (gpu.has_same_group && (gpu.mode != SPEC_PASSTHROUGH || count == 1))
		return spec_fail(err, item, "same-group goes with passthrough and a count above 1");
	if (gpu.has_address && count != 1)
		return spec_fail(err, item, "an address needs a count of 1");
	if (spec->gpu_count + count > SPEC_GPUS_MAX)
		return spec_fail(err, item, "a host has at most 64 GPUs");
	while (count--) {
		spec->gpus[spec->gpu_count++] = gpu;
		gpu.joins_group = gpu.has_same_group;
	}
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
