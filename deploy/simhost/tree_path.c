/* SPDX-License-Identifier: Apache-2.0 */
/* From a path to its node, links followed: what the kernel does for those that mount the tree. */

#include <errno.h>
#include <string.h>

#include "common/scoped.h"
#include "tree.h"

#define DEPTH_MAX 16
#define LINKS_MAX 8

/* The folders from the root down to where the walk is. */
struct trail {
	struct host *host;
	struct node nodes[DEPTH_MAX];
	size_t depth; /* of the last */
	unsigned int link_count;
};

static int trail_walk(struct trail *trail, const char *path);

static int trail_follow(struct trail *trail, struct node link)
{
	scoped_free char *target = NULL;
	size_t length;
	FILE *out;
	int r;

	if (++trail->link_count > LINKS_MAX)
		return -ELOOP;
	out = open_memstream(&target, &length);
	if (!out)
		return -ENOMEM;
	r = tree_show(trail->host, link, out);
	if (fclose(out) != 0)
		r = -ENOMEM;
	return r < 0 ? r : trail_walk(trail, target);
}

static int trail_enter(struct trail *trail, const char *name)
{
	struct tree_stat st;
	struct node node;
	int r;

	if (name[0] == '\0' || strcmp(name, ".") == 0)
		return 0;
	if (strcmp(name, "..") == 0) {
		trail->depth -= trail->depth > 0 ? 1 : 0;
		return 0;
	}
	r = tree_lookup(trail->host, trail->nodes[trail->depth], name, &node);
	if (r == 0)
		r = tree_stat(trail->host, node, &st);
	if (r < 0)
		return r;
	if (S_ISLNK(st.mode))
		return trail_follow(trail, node);
	if (trail->depth + 1 == DEPTH_MAX)
		return -ENAMETOOLONG;
	trail->nodes[++trail->depth] = node;
	return 0;
}

static int trail_walk(struct trail *trail, const char *path)
{
	scoped_free char *copy = strdup(path);
	char *rest = copy, *name;

	if (!copy)
		return -ENOMEM;
	while ((name = strsep(&rest, "/")) != NULL) {
		int r = trail_enter(trail, name);

		if (r < 0)
			return r;
	}
	return 0;
}

int tree_resolve(struct host *host, const char *path, struct node *ret)
{
	struct trail trail = { .host = host, .nodes = { { .kind = KIND_ROOT } } };
	int r = trail_walk(&trail, path);

	if (r < 0)
		return r;
	*ret = trail.nodes[trail.depth];
	return 0;
}
