/* SPDX-License-Identifier: Apache-2.0 */
/* How a kind of node is described to the tree. */

#ifndef SIMHOST_TREE_KIND_H
#define SIMHOST_TREE_KIND_H

#include "tree.h"

typedef bool tree_exists_fn(const struct host *host, struct node node);
typedef struct function *tree_owner_fn(const struct host *host, struct node node);
typedef struct function *tree_target_fn(struct host *host, const struct tree_write *write);

/* A name that every directory of a kind has: a file, a link, or (child) a directory. */
struct tree_entry {
	const char *name;
	mode_t mode;
	uint8_t child;		/* S_IFDIR: its kind; it gets the parent's object */
	tree_exists_fn *exists; /* NULL: always */
	tree_show_fn *show;	/* NULL: cannot be read */
	tree_store_fn *store;	/* NULL: cannot be written */
	enum op op;		/* the write can have faults */
	tree_target_fn *target; /* and is on this function; NULL: on the kind's owner */
};

/*
 * Names that depend on the model are listed by a function. find() does for long listings what
 * looking through them would do.
 */
struct tree_kind {
	mode_t mode;
	bool is_fixed; /* a node of this kind keeps its name for as long as the host lives */
	const struct tree_entry *entries;
	size_t entry_count;
	tree_exists_fn *exists; /* the object is there; NULL: always */
	tree_owner_fn *owner;	/* what it belongs to, and disappears with; NULL: no function */
	bool (*find)(struct host *host, struct node node, const char *name, struct node *ret);
	void (*list)(struct host *host, struct node node, tree_emit_fn *emit, void *arg);
	tree_show_fn *show; /* links and files */
};

#define TREE_DIR  (S_IFDIR | 0755)
#define TREE_LINK (S_IFLNK | 0777)
#define TREE_RO	  (S_IFREG | 0444)
#define TREE_RW	  (S_IFREG | 0644)
#define TREE_WO	  (S_IFREG | 0200)

#define TREE_ENTRIES(array) .entries = (array), .entry_count = sizeof(array) / sizeof((array)[0])

/* Describe their kinds, KIND_COUNT long, the others empty. */
extern const struct tree_kind tree_top_kinds[KIND_COUNT];
extern const struct tree_kind tree_dev_kinds[KIND_COUNT];
extern const struct tree_kind tree_pci_kinds[KIND_COUNT];
extern const struct tree_kind tree_function_kinds[KIND_COUNT];
extern const struct tree_kind tree_vendor_kinds[KIND_COUNT];
extern const struct tree_kind tree_mdev_kinds[KIND_COUNT];

/* For kinds whose object is the index of a function. */
struct function *tree_function_owner(const struct host *host, struct node node);

/*
 * A number as the kernel's kstrtoul() with base 0 reads it: decimal, or hexadecimal after 0x, or
 * octal after 0; a + before it and a line feed after it are allowed. -EINVAL, -ERANGE.
 */
int tree_number_parse(const struct tree_write *write, unsigned long *ret);

/* A group's number, written as the kernel prints it. NULL: there is no such group. */
struct group *tree_group_by_name(const struct host *host, const char *name);

/* A write without its line feed. -EINVAL: empty, too long, or with a NUL inside. */
int tree_word_parse(const struct tree_write *write, size_t size, char *ret);

#endif
