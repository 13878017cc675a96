/* SPDX-License-Identifier: Apache-2.0 */
#include "functions.h"

#include <errno.h>
#include <string.h>

#define CLASS_DISPLAY 0x03

/* Room for one more, zeroed; NULL: out of memory. */
static void *append(void *items, size_t *count, size_t size)
{
	char **array = items;
	char *grown = realloc(*array, (*count + 1) * size);

	if (!grown)
		return NULL;
	*array = grown;
	return memset(grown + (*count)++ * size, 0, size);
}

static void copy_text(char *to, const char *from, size_t size)
{
	size_t length = strnlen(from, size - 1);

	memcpy(to, from, length);
	to[length] = '\0';
}

static int add_pci(struct functions *functions, const struct op_pci *said)
{
	struct function *f = append(&functions->items, &functions->count, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->address = said->address;
	f->vendor = said->vendor;
	f->device = said->device;
	f->class_code = said->class_code;
	f->iommu_group = said->iommu_group;
	f->numa_node = said->numa_node < 0 ? -1 : said->numa_node;
	copy_text(f->driver, said->driver, sizeof(f->driver));
	copy_text(f->name, said->name, sizeof(f->name));
	f->is_virtual = said->is_virtual;
	f->is_gpu = !said->is_virtual && said->class_code >> 16 == CLASS_DISPLAY;
	f->is_bindable = !said->is_virtual;
	f->has_vfio_dev = said->has_vfio_dev;
	f->bind_refusal = said->incomplete ? OP_REASON_UNKNOWN : said->bind_refusal;
	if (said->is_barred)
		f->bind_refusal = OP_REASON_POLICY;
	return 0;
}

/* The other functions of a GPU's slot, its sound for one, and its neighbours. */
static int add_member(struct functions *functions, const struct op_group_member *said)
{
	struct op_group_member *member =
		append(&functions->members, &functions->member_count, sizeof(*member));
	struct function *f;

	if (!member)
		return -ENOMEM;
	*member = *said;
	member->driver[sizeof(member->driver) - 1] = '\0';
	if (functions_find(functions, said->address))
		return 0;
	f = append(&functions->items, &functions->count, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->address = said->address;
	f->vendor = said->vendor;
	f->device = said->device;
	f->class_code = said->class_code;
	f->iommu_group = said->iommu_group;
	f->numa_node = -1;
	copy_text(f->driver, said->driver, sizeof(f->driver));
	f->has_vfio_dev = strcmp(f->driver, "vfio-pci") == 0;
	f->bind_refusal = OP_REASON_POLICY;
	return 0;
}

static int add_binding(struct functions *functions, const struct op_binding *said)
{
	struct op_binding *binding =
		append(&functions->bindings, &functions->binding_count, sizeof(*binding));

	if (!binding)
		return -ENOMEM;
	*binding = *said;
	binding->uuid[sizeof(binding->uuid) - 1] = '\0';
	binding->driver[sizeof(binding->driver) - 1] = '\0';
	return 0;
}

/* Members after all functions: they know less of one than its own record. */
static int fill(struct functions *functions, const struct op_record *records, size_t count)
{
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++)
		if (records[i].kind == OP_RECORD_PCI)
			r = add_pci(functions, &records[i].pci);
	for (size_t i = 0; i < count && r == 0; i++) {
		if (records[i].kind == OP_RECORD_GROUP_MEMBER)
			r = add_member(functions, &records[i].group_member);
		else if (records[i].kind == OP_RECORD_BINDING)
			r = add_binding(functions, &records[i].binding);
	}
	return r;
}

int functions_new(const struct op_record *records, size_t count, struct functions **ret)
{
	scoped(functions_free) struct functions *functions = calloc(1, sizeof(*functions));

	if (!functions || fill(functions, records, count))
		return -ENOMEM;
	*ret = TAKE_PTR(functions);
	return 0;
}

void functions_free(struct functions *functions)
{
	if (!functions)
		return;
	free(functions->items);
	free(functions->members);
	free(functions->bindings);
	free(functions->holders);
	free(functions);
}

int functions_set_holders(struct functions *functions, const struct op_record *records,
			  size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct op_holder *holder;

		if (records[i].kind != OP_RECORD_HOLDER)
			continue;
		holder = append(&functions->holders, &functions->holder_count, sizeof(*holder));
		if (!holder)
			return -ENOMEM;
		*holder = records[i].holder;
		holder->command[sizeof(holder->command) - 1] = '\0';
	}
	functions->holders_known = true;
	return 0;
}

/* Its driver was on the way to or from vfio-pci, and so was who used it. */
static void forget_holders(struct functions *functions, struct pci_addr gpu)
{
	size_t kept = 0;

	for (size_t i = 0; i < functions->holder_count; i++)
		if (pci_addr_compare(functions->holders[i].gpu, gpu) != 0)
			functions->holders[kept++] = functions->holders[i];
	functions->holder_count = kept;
}

void functions_keep_newer(struct functions *fresh, const struct functions *known, uint64_t scan)
{
	for (size_t i = 0; i < fresh->count; i++) {
		struct function *function = &fresh->items[i];
		const struct function *old = functions_find(known, function->address);

		if (!old)
			continue;
		function->known_from = old->known_from;
		if (old->known_from <= scan)
			continue;
		*function = *old;
		forget_holders(fresh, function->address);
	}
}

const struct function *functions_find(const struct functions *functions, struct pci_addr address)
{
	for (size_t i = 0; functions && i < functions->count; i++)
		if (pci_addr_compare(functions->items[i].address, address) == 0)
			return &functions->items[i];
	return NULL;
}

const struct op_binding *functions_binding(const struct functions *functions, const char *uuid)
{
	for (size_t i = 0; functions && i < functions->binding_count; i++)
		if (strcmp(functions->bindings[i].uuid, uuid) == 0)
			return &functions->bindings[i];
	return NULL;
}

/* The arrays are zeroed before they are filled, so their bytes can be compared. */
static bool same(const void *a, size_t a_count, const void *b, size_t b_count, size_t size)
{
	return a_count == b_count && (a_count == 0 || memcmp(a, b, a_count * size) == 0);
}

bool functions_equal(const struct functions *a, const struct functions *b)
{
	if (!a || !b)
		return a == b;
	return a->holders_known == b->holders_known &&
	       same(a->items, a->count, b->items, b->count, sizeof(*a->items)) &&
	       same(a->bindings, a->binding_count, b->bindings, b->binding_count,
		    sizeof(*a->bindings)) &&
	       same(a->holders, a->holder_count, b->holders, b->holder_count,
		    sizeof(*a->holders)) &&
	       same(a->members, a->member_count, b->members, b->member_count, sizeof(*a->members));
}
