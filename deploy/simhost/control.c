/* SPDX-License-Identifier: Apache-2.0 */
#include "control.h"

#include <errno.h>
#include <string.h>

#include "driver.h"
#include "group.h"
#include "hotplug.h"
#include "late.h"
#include "mdev.h"
#include "vendor.h"

static const struct process nobody = { .id = 0, .command = "control" };

/* ---- words --------------------------------------------------------------------- */

int control_number(const char *text, uint32_t *ret)
{
	if (text[0] == '\0' || strlen(text) > 9 || text[strspn(text, "0123456789")] != '\0')
		return -EINVAL;
	*ret = (uint32_t)strtoul(text, NULL, 10);
	return 0;
}

static struct function *slot_at(struct host *host, const char *text)
{
	struct bdf address;

	return bdf_parse(text, &address) < 0 ? NULL : host_find_slot(host, address);
}

struct function *control_function(struct host *host, const char *text)
{
	struct function *function = slot_at(host, text);

	return function && !function->is_absent ? function : NULL;
}

static struct group *node_named(const struct host *host, const char *word)
{
	struct group *group;
	uint32_t number;

	if (control_number(word, &number) < 0)
		return NULL;
	group = group_find(host, number);
	return group && group_has_node(group) ? group : NULL;
}

/* "nvidia0", or NULL. */
static struct gpu *gpu_node_named(const struct host *host, const char *word)
{
	for (size_t i = 0; i < host->gpu_count; i++) {
		struct gpu *gpu = &host->gpus[i];
		char name[BOARD_WORD_SIZE + 16];

		snprintf(name, sizeof(name), "%s%u", gpu->board->node, gpu->node_minor);
		if (gpu_has_node(gpu) && strcmp(word, name) == 0)
			return gpu;
	}
	return NULL;
}

/* ---- holders ------------------------------------------------------------------- */

static int run_hold(struct host *host, char *const *words)
{
	struct gpu *gpu = gpu_node_named(host, words[1]);
	struct group *group = node_named(host, words[1]);

	if (!gpu)
		return group ? group_open(host, group, &nobody) : -EINVAL;
	gpu->node_opens++;
	gpu->control_opens++;
	return 0;
}

static int run_release(struct host *host, char *const *words)
{
	struct gpu *gpu = gpu_node_named(host, words[1]);
	struct group *group = node_named(host, words[1]);

	if (gpu && gpu->control_opens > 0) {
		gpu->node_opens--;
		gpu->control_opens--;
		driver_resume(host);
		return 0;
	}
	if (!group || !group->is_held || group->holder.id != 0 || group->closed_at != 0)
		return -EINVAL;
	group_close(host, group->number, group->node_serial);
	return 0;
}

/* ---- somebody else on the host ------------------------------------------------- */

static int run_create(struct host *host, char *const *words)
{
	struct function *parent = control_function(host, words[1]);

	if (!parent || parent->gpu->mode != SPEC_MDEV)
		return -EINVAL;
	for (size_t i = 0; i < parent->gpu->board->type_count; i++) {
		const struct board_type *type = &parent->gpu->board->types[i];

		if (strcmp(type->id, words[2]) == 0)
			return mdev_create(host, parent, type, words[3], strlen(words[3]));
	}
	return -EINVAL;
}

/* Does not wait: what is held is half gone. */
static int run_remove(struct host *host, char *const *words)
{
	struct mdev *mdev = host_find_uuid(host, words[1]);
	int r = mdev ? mdev_remove(host, mdev, &nobody, NULL) : -EINVAL;

	return r == HOST_PENDING ? 0 : r;
}

static int run_type(struct host *host, char *const *words)
{
	struct function *function = control_function(host, words[1]);
	uint32_t id;

	if (!function || !function_is_vendor_vf(function) || control_number(words[2], &id) < 0)
		return -EINVAL;
	return vendor_set_type(host, function, id, &nobody, NULL);
}

/* Does not wait: an unbind that blocks goes on by itself. */
static int run_unbind(struct host *host, char *const *words)
{
	struct function *function = control_function(host, words[1]);
	int r = function ? driver_unbind(host, function, function->driver, &nobody, NULL) : -EINVAL;

	return r == HOST_PENDING ? 0 : r;
}

/* As driver_override and drivers_probe would, the override stays. */
static int run_bind(struct host *host, char *const *words)
{
	struct function *function = control_function(host, words[1]);
	const char *driver = host_find_driver(host, words[2]);

	if (!function || !driver)
		return -EINVAL;
	if (function->driver)
		return -EBUSY;
	(void)driver_set_override(function, driver, strlen(driver));
	return driver_bind(host, function, driver);
}

/* ---- what comes and goes ------------------------------------------------------- */

static int run_unplug(struct host *host, char *const *words)
{
	struct function *slot = slot_at(host, words[1]);

	return slot ? hotplug_remove(host, slot) : -EINVAL;
}

static int run_plug(struct host *host, char *const *words)
{
	struct function *slot = slot_at(host, words[1]);

	return slot ? hotplug_add(host, slot) : -EINVAL;
}

static int run_vfs(struct host *host, char *const *words)
{
	const struct function *function = control_function(host, words[1]);

	if (!function || function->kind != FUNCTION_PHYSICAL)
		return -EINVAL;
	if (strcmp(words[2], "on") == 0)
		return hotplug_enable_vfs(host, function->gpu);
	if (strcmp(words[2], "off") != 0)
		return -EINVAL;
	hotplug_disable_vfs(host, function->gpu);
	return 0;
}

static int run_clear(struct host *host, char *const *words)
{
	(void)words;
	late_end_faults(host);
	return 0;
}

static int run_clear_one(struct host *host, char *const *words)
{
	struct function *function = control_function(host, words[1]);

	if (!function)
		return -EINVAL;
	late_end_faults_of(host, function);
	return 0;
}

/* ---- lines --------------------------------------------------------------------- */

static const struct {
	const char *name;
	size_t word_count;
	int (*run)(struct host *host, char *const *words);
} commands[] = {
	{ "hold", 2, run_hold },     { "release", 2, run_release }, { "clear", 1, run_clear },
	{ "create", 4, run_create }, { "remove", 2, run_remove },   { "type", 3, run_type },
	{ "bind", 3, run_bind },     { "unbind", 2, run_unbind },   { "unplug", 2, run_unplug },
	{ "plug", 2, run_plug },     { "vfs", 3, run_vfs },	    { "clear", 2, run_clear_one },
};

static int line_run(struct host *host, char *line)
{
	char *words[CONTROL_WORDS_MAX], *word;
	size_t count = 0;

	while ((word = strsep(&line, " \t")) != NULL) {
		if (word[0] == '\0')
			continue;
		if (count == CONTROL_WORDS_MAX)
			return -EINVAL;
		words[count++] = word;
	}
	if (count == 0)
		return 0;
	if (strcmp(words[0], "fault") == 0)
		return control_fault(host, words, count);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (commands[i].word_count == count && strcmp(commands[i].name, words[0]) == 0)
			return commands[i].run(host, words);
	return -EINVAL;
}

int control_run(struct host *host, const char *text)
{
	scoped_free char *copy = strdup(text);
	char *rest = copy, *line;

	if (!copy)
		return -ENOMEM;
	while ((line = strsep(&rest, "\n")) != NULL) {
		int r = line_run(host, line);

		(void)late_settle(host);
		if (r < 0)
			return r;
	}
	return 0;
}
