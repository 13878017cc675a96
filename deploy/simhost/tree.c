/* SPDX-License-Identifier: Apache-2.0 */
#include "tree.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "group.h"
#include "late.h"
#include "tree_kind.h"

#define OBJECT_BITS 24
#define EXTRA_BITS  28
#define ENTRY_BITS  6

_Static_assert(KIND_COUNT < 1 << 6, "a kind has 6 bits");

/* One more than the bits say, since FUSE's root is 1. */
uint64_t node_pack(struct node node)
{
	return ((uint64_t)node.kind << (ENTRY_BITS + OBJECT_BITS + EXTRA_BITS) |
		(uint64_t)node.entry << (OBJECT_BITS + EXTRA_BITS) |
		(uint64_t)node.object << EXTRA_BITS | node.extra) +
	       1;
}

struct node node_unpack(uint64_t number)
{
	uint64_t bits = number - 1;

	return (struct node){
		.kind = (uint8_t)(bits >> (ENTRY_BITS + OBJECT_BITS + EXTRA_BITS)),
		.entry = bits >> (OBJECT_BITS + EXTRA_BITS) & ((1u << ENTRY_BITS) - 1),
		.object = bits >> EXTRA_BITS & ((1u << OBJECT_BITS) - 1),
		.extra = bits & ((1u << EXTRA_BITS) - 1),
	};
}

static const struct tree_kind *kind_of(struct node node)
{
	static const struct tree_kind *const tables[] = { tree_top_kinds,    tree_dev_kinds,
							  tree_pci_kinds,    tree_function_kinds,
							  tree_vendor_kinds, tree_mdev_kinds };

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		if (node.kind < KIND_COUNT && tables[i][node.kind].mode != 0)
			return &tables[i][node.kind];
	return NULL;
}

/* NULL: the node is the thing itself. */
static const struct tree_entry *entry_of(struct node node)
{
	return node.entry == 0 ? NULL : &kind_of(node)->entries[node.entry - 1];
}

struct function *tree_function_owner(const struct host *host, struct node node)
{
	return &host->functions[node.object];
}

static struct function *owner_of(const struct host *host, struct node node)
{
	const struct tree_kind *kind = kind_of(node);

	return kind->owner ? kind->owner(host, node) : NULL;
}

static bool node_exists(const struct host *host, struct node node)
{
	const struct tree_kind *kind = kind_of(node);
	const struct tree_entry *entry;
	const struct function *owner;

	if (!kind || node.entry > kind->entry_count)
		return false;
	owner = owner_of(host, node);
	if (owner && owner->is_absent)
		return false;
	if (kind->exists && !kind->exists(host, node))
		return false;
	entry = entry_of(node);
	return !entry || !entry->exists || entry->exists(host, node);
}

static mode_t node_mode(struct node node)
{
	const struct tree_entry *entry = entry_of(node);

	return entry ? entry->mode : kind_of(node)->mode;
}

/*
 * The kernel runs one write at a time on an inode of FUSE, and a write that hangs would hold up
 * the next one. In sysfs it does not, so each look at such a file gives another node.
 */
static bool is_many_nodes(const struct tree_entry *entry)
{
	return entry && (entry->mode == TREE_WO || entry->op != OP_NONE);
}

static uint32_t fresh_extra(void)
{
	static uint32_t last;

	last = (last + 1) % ((1u << EXTRA_BITS) - 1);
	return last;
}

int tree_stat(struct host *host, struct node node, struct tree_stat *ret)
{
	const struct group *group = tree_dev_group(host, node);
	const struct tree_entry *entry;

	if (!node_exists(host, node))
		return -ENOENT;
	entry = entry_of(node);
	if (is_many_nodes(entry))
		node.extra = 0;
	*ret = (struct tree_stat){
		.inode = node_pack(node),
		.mode = node_mode(node),
		.time = host->boot_time,
		.is_fixed = kind_of(node)->is_fixed &&
			    !(entry && (entry->exists || is_many_nodes(entry))),
	};
	if (group) {
		ret->mode = S_IFREG | group->node_mode;
		ret->uid = group->node_uid;
		ret->gid = group->node_gid;
		ret->time = group->node_time;
	}
	return 0;
}

static struct node entry_node(struct node parent, size_t index, const struct tree_entry *entry)
{
	struct node node = parent;

	if (S_ISDIR(entry->mode))
		return (struct node){ .kind = entry->child, .object = parent.object };
	node.entry = (uint8_t)(index + 1);
	if (is_many_nodes(entry))
		node.extra = fresh_extra();
	return node;
}

static bool entry_is_there(const struct host *host, struct node parent,
			   const struct tree_entry *entry)
{
	return !entry->exists || entry->exists(host, parent);
}

/* Looks for a name among those that a kind lists. */
struct search {
	const char *name;
	struct node *ret;
	bool is_found;
};

static void search_emit(void *arg, const char *name, struct node node)
{
	struct search *search = arg;

	if (strcmp(name, search->name) != 0)
		return;
	*search->ret = node;
	search->is_found = true;
}

static bool object_find(struct host *host, struct node parent, const char *name, struct node *ret)
{
	const struct tree_kind *kind = kind_of(parent);
	struct search search = { .name = name, .ret = ret };

	if (kind->find)
		return kind->find(host, parent, name, ret);
	if (kind->list)
		kind->list(host, parent, search_emit, &search);
	return search.is_found;
}

int tree_lookup(struct host *host, struct node parent, const char *name, struct node *ret)
{
	const struct tree_kind *kind = kind_of(parent);

	if (!node_exists(host, parent))
		return -ENOENT;
	if (parent.entry != 0 || !S_ISDIR(kind->mode))
		return -ENOTDIR;
	for (size_t i = 0; i < kind->entry_count; i++) {
		if (strcmp(kind->entries[i].name, name) != 0)
			continue;
		if (!entry_is_there(host, parent, &kind->entries[i]))
			return -ENOENT;
		*ret = entry_node(parent, i, &kind->entries[i]);
		return 0;
	}
	return object_find(host, parent, name, ret) ? 0 : -ENOENT;
}

int tree_list(struct host *host, struct node node, tree_emit_fn *emit, void *arg)
{
	const struct tree_kind *kind = kind_of(node);

	if (!node_exists(host, node))
		return -ENOENT;
	if (node.entry != 0 || !S_ISDIR(kind->mode))
		return -ENOTDIR;
	for (size_t i = 0; i < kind->entry_count; i++)
		if (entry_is_there(host, node, &kind->entries[i]))
			emit(arg, kind->entries[i].name, entry_node(node, i, &kind->entries[i]));
	if (kind->list)
		kind->list(host, node, emit, arg);
	return 0;
}

int tree_may_open(const struct host *host, struct node node, bool reads, bool writes)
{
	const struct tree_entry *entry;

	if (!node_exists(host, node))
		return -ENODEV;
	entry = entry_of(node);
	if (!entry)
		return 0;
	return (reads && !entry->show) || (writes && !entry->store) ? -EACCES : 0;
}

int tree_show(struct host *host, struct node node, FILE *out)
{
	const struct tree_entry *entry;
	tree_show_fn *show;

	if (!node_exists(host, node))
		return -ENODEV;
	entry = entry_of(node);
	show = entry ? entry->show : kind_of(node)->show;
	if (!show)
		return -EINVAL;
	switch (S_ISREG(node_mode(node)) ? late_read_fault(host, node, owner_of(host, node))
					 : READ_WELL) {
	case READ_EIO:
		return -EIO;
	case READ_ENXIO:
		return -ENXIO;
	case READ_HANG:
		return HOST_PENDING;
	case READ_WELL:
		break;
	}
	return show(host, node, out);
}

int tree_store(struct host *host, struct node node, const struct tree_write *write)
{
	const struct tree_entry *entry;
	struct function *function;

	if (!node_exists(host, node))
		return -ENODEV;
	entry = entry_of(node);
	if (!entry || !entry->store)
		return -EINVAL;
	if (write->length == 0)
		return 0; /* sysfs does not ask the driver */
	if (entry->op == OP_NONE)
		return entry->store(host, node, write);
	function = entry->target ? entry->target(host, write) : owner_of(host, node);
	if (!function)
		return entry->store(host, node, write);
	return late_store(host, node, function, entry->op, entry->store, write);
}

int tree_number_parse(const struct tree_write *write, unsigned long *ret)
{
	char word[64];
	const char *at = word;
	char *end;

	if (tree_word_parse(write, sizeof(word), word) < 0)
		return -EINVAL;
	if (*at == '+')
		at++;
	if (!isxdigit((unsigned char)*at)) /* strtoul() would take spaces and signs */
		return -EINVAL;
	errno = 0;
	*ret = strtoul(at, &end, 0);
	if (*end != '\0')
		return -EINVAL;
	return errno == ERANGE ? -ERANGE : 0;
}

int tree_word_parse(const struct tree_write *write, size_t size, char *ret)
{
	size_t length = write->length;

	if (length > 0 && write->text[length - 1] == '\n')
		length--;
	if (length == 0 || length >= size || memchr(write->text, '\0', length))
		return -EINVAL;
	memcpy(ret, write->text, length);
	ret[length] = '\0';
	return 0;
}
