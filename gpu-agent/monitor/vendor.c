/* SPDX-License-Identifier: Apache-2.0 */
#include "vendor.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int vendor_read_type(const struct tree *sysfs, struct pci_addr address, uint32_t *ret)
{
	int64_t value;
	int r = tree_read_number(sysfs, &value, VENDOR_CURRENT, PCI_STR(address));

	if (r < 0)
		return r;
	if (value < 0 || value > INT32_MAX)
		return -EINVAL;
	*ret = (uint32_t)value;
	return 0;
}

/* [start, end) without the spaces around it. */
static void trim(const char **start, const char **end)
{
	while (*start < *end && isspace((unsigned char)**start))
		++*start;
	while (*end > *start && isspace((unsigned char)(*end)[-1]))
		--*end;
}

static int parse_id(const char *start, const char *end, uint32_t *ret)
{
	uint64_t id = 0;

	if (start == end || end - start > 10)
		return -EBADMSG;
	for (; start < end; start++) {
		if (!isdigit((unsigned char)*start))
			return -EBADMSG;
		id = id * 10 + (uint64_t)(*start - '0');
	}
	if (id == 0 || id > INT32_MAX)
		return -EBADMSG;
	*ret = (uint32_t)id;
	return 0;
}

/* "ID    : vGPU Name", in any case and spacing. */
static bool is_header(const char *start, const char *end)
{
	return end - start == 2 && strncasecmp(start, "ID", 2) == 0;
}

/* 1: a type; 0: a header or a blank line. */
static int parse_line(const char *start, const char *end, struct vendor_line *ret)
{
	const char *colon = memchr(start, ':', (size_t)(end - start));
	const char *name, *id_end = colon;
	size_t length;

	trim(&start, &end);
	if (start == end)
		return 0;
	if (!colon)
		return -EBADMSG;
	trim(&start, &id_end);
	if (is_header(start, id_end))
		return 0;
	name = colon + 1;
	trim(&name, &end);
	length = name < end ? (size_t)(end - name) : 0;
	if (length == 0 || length >= sizeof(ret->name) || memchr(name, '\0', length))
		return -EBADMSG;
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->name, name, length);
	return parse_id(start, id_end, &ret->id) < 0 ? -EBADMSG : 1;
}

int vendor_next_line(const char **text, struct vendor_line *ret)
{
	while (**text) {
		const char *start = *text;
		const char *end = start + strcspn(start, "\n");
		int r;

		*text = end + (*end == '\n');
		r = parse_line(start, end, ret);
		if (r != 0)
			return r;
	}
	return 0;
}
