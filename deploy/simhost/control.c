/* SPDX-License-Identifier: Apache-2.0 */
#include "control.h"

#include <errno.h>
#include <string.h>

#include "group.h"
#include "mdev.h"

#define WORDS_MAX 4

/* ---- state --------------------------------------------------------------------- */

static void gpus_show(const struct host *host, FILE *out)
{
	for (size_t i = 0; i < host->gpu_count; i++) {
		const struct gpu *gpu = &host->gpus[i];

		fprintf(out, "gpu %s %s %s vgpus %u used %llu of %llu MiB\n",
			BDF_STR(gpu->physical->address), gpu->board->name,
			gpu->has_mdev ? "mdev" : "passthrough", gpu->mdev_count,
			(unsigned long long)gpu->used_mb,
			(unsigned long long)(gpu->has_mdev ? gpu->board->framebuffer_mb : 0));
	}
}

static void mdevs_show(const struct host *host, FILE *out)
{
	for (const struct mdev *mdev = host->mdevs; mdev; mdev = mdev->next)
		fprintf(out, "vgpu %s parent %s type %s-%s group %u %s\n", mdev->uuid,
			BDF_STR(mdev->parent->address), mdev->parent->gpu->board->driver,
			mdev->type->id, mdev->group->number,
			mdev->state == MDEV_REMOVING ? "removing"
			: mdev->creator		     ? "creating"
						     : "live");
}

static void nodes_show(const struct host *host, FILE *out)
{
	for (size_t i = 0; i < host->group_slots; i++) {
		const struct group *group = host->groups[i];

		if (!group || !group_has_node(group))
			continue;
		fprintf(out, "node %u mode %04o uid %u gid %u\n", group->number, group->node_mode,
			group->node_uid, group->node_gid);
		if (group->is_held)
			fprintf(out, "holder %u pid %d %s\n", group->number, group->holder.id,
				group->holder.command);
	}
}

static void faults_show(const struct host *host, FILE *out)
{
	for (const struct late_create *late = host->late_creates; late; late = late->next)
		fprintf(out, "late-create %s parent %s\n", late->uuid,
			BDF_STR(late->parent->address));
	for (size_t i = 0; i < host->function_count; i++) {
		const struct function *function = &host->functions[i];
		const struct bdf_text text = bdf_text(function->address);
		const char *address = text.s;

		if (function->reset_count > 0)
			fprintf(out, "reset %s %u\n", address, function->reset_count);
		if (function->faults.create_hang)
			fprintf(out, "fault create-hang %s\n", address);
		if (function->faults.create_hang_before)
			fprintf(out, "fault create-hang-before %s\n", address);
		if (function->faults.remove_hang)
			fprintf(out, "fault remove-hang %s\n", address);
		if (function->faults.create_eio > 0)
			fprintf(out, "fault create-eio %s %u\n", address,
				function->faults.create_eio);
	}
}

void control_show(const struct host *host, FILE *out)
{
	gpus_show(host, out);
	mdevs_show(host, out);
	nodes_show(host, out);
	faults_show(host, out);
}

/* ---- commands ------------------------------------------------------------------ */

static int number_parse(const char *text, uint32_t *ret)
{
	if (text[0] == '\0' || strlen(text) > 9 || text[strspn(text, "0123456789")] != '\0')
		return -EINVAL;
	*ret = (uint32_t)strtoul(text, NULL, 10);
	return 0;
}

static struct group *node_find(const struct host *host, const char *word)
{
	struct group *group;
	uint32_t number;

	if (number_parse(word, &number) < 0)
		return NULL;
	group = group_find(host, number);
	return group && group_has_node(group) ? group : NULL;
}

static int run_hold(struct host *host, char *const *words)
{
	const struct process nobody = { .id = 0, .command = "control" };
	struct group *group = node_find(host, words[1]);

	return group ? group_open(group, &nobody) : -EINVAL;
}

static int run_release(struct host *host, char *const *words)
{
	const struct group *group = node_find(host, words[1]);

	if (!group || !group->is_held || group->holder.id != 0)
		return -EINVAL;
	group_close(host, group->number, group->node_serial);
	return 0;
}

static int run_clear(struct host *host, char *const *words)
{
	(void)words;
	mdev_end_faults(host);
	return 0;
}

typedef void fault_set_fn(struct faults *faults, uint32_t count);

static void set_create_hang(struct faults *faults, uint32_t count)
{
	(void)count;
	faults->create_hang = true;
}

static void set_create_hang_before(struct faults *faults, uint32_t count)
{
	(void)count;
	faults->create_hang_before = true;
}

static void set_remove_hang(struct faults *faults, uint32_t count)
{
	(void)count;
	faults->remove_hang = true;
}

static void set_create_eio(struct faults *faults, uint32_t count)
{
	faults->create_eio = count;
}

static int fault_apply(struct host *host, const char *where, fault_set_fn *set, uint32_t count)
{
	struct function *function;
	struct bdf address;

	if (strcmp(where, "*") == 0) {
		for (size_t i = 0; i < host->function_count; i++)
			if (function_is_mdev_parent(&host->functions[i]))
				set(&host->functions[i].faults, count);
		return 0;
	}
	if (bdf_parse(where, &address) < 0)
		return -EINVAL;
	function = host_find_function(host, address);
	if (!function || !function_is_mdev_parent(function))
		return -EINVAL;
	set(&function->faults, count);
	return 0;
}

static int run_fault(struct host *host, char *const *words)
{
	static const struct {
		const char *name;
		fault_set_fn *set;
	} faults[] = {
		{ "create-hang", set_create_hang },
		{ "create-hang-before", set_create_hang_before },
		{ "remove-hang", set_remove_hang },
	};

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		if (strcmp(words[1], faults[i].name) == 0)
			return fault_apply(host, words[2], faults[i].set, 0);
	return -EINVAL;
}

static int run_fault_count(struct host *host, char *const *words)
{
	uint32_t count;

	if (strcmp(words[1], "create-eio") != 0 || number_parse(words[3], &count) < 0)
		return -EINVAL;
	return fault_apply(host, words[2], set_create_eio, count);
}

static const struct {
	const char *name;
	size_t word_count;
	int (*run)(struct host *host, char *const *words);
} commands[] = {
	{ "hold", 2, run_hold },   { "release", 2, run_release },   { "clear", 1, run_clear },
	{ "fault", 3, run_fault }, { "fault", 4, run_fault_count },
};

static int line_run(struct host *host, char *line)
{
	char *words[WORDS_MAX + 1], *word;
	size_t count = 0;

	while ((word = strsep(&line, " \t")) != NULL) {
		if (word[0] == '\0')
			continue;
		if (count == WORDS_MAX)
			return -EINVAL;
		words[count++] = word;
	}
	if (count == 0)
		return 0;
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

		if (r < 0)
			return r;
	}
	return 0;
}
