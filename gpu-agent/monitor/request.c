/* SPDX-License-Identifier: Apache-2.0 */
#include "request.h"

#include <ctype.h>
#include <string.h>

#include "uuid_text.h"

/* One component of a path that cannot be "." or "..", without spaces. */
static bool is_type_name(const char *text, size_t size)
{
	size_t length = strnlen(text, size);

	if (length == 0 || length == size || text[0] == '.')
		return false;
	for (size_t i = 0; i < length; i++)
		if (!isgraph((unsigned char)text[i]) || text[i] == '/')
			return false;
	return true;
}

static bool is_address(struct pci_addr address)
{
	return address.slot <= 0x1f && address.function <= 7;
}

static const char *check_scope(const struct op_request *request)
{
	if (request->scope > OP_SCOPE_EXCEPT)
		return "scope is unknown";
	if (request->gpu_count > OPS_GPUS_MAX)
		return "gpu_count is larger than gpus";
	for (uint32_t i = 0; i < request->gpu_count; i++)
		if (!is_address(request->gpus[i]))
			return "gpus has something that is not a PCI address";
	return NULL;
}

static const char *check_target(const struct op_request *request)
{
	if (!memchr(request->uuid, '\0', sizeof(request->uuid)) ||
	    !uuid_text_is_valid(request->uuid))
		return "uuid is not a UUID in lower case";
	if (!is_address(request->parent))
		return "parent is not a PCI address";
	if (request->kind == OP_CREATE_MDEV && !is_type_name(request->type, sizeof(request->type)))
		return "type is not the name of a directory";
	if (request->kind == OP_SET_VENDOR_TYPE &&
	    (request->vendor_type == 0 || request->vendor_type > INT32_MAX))
		return "vendor_type is not the id of a type";
	return NULL;
}

const char *request_check(const struct op_request *request, size_t size)
{
	if (size != sizeof(*request))
		return "the request has a wrong size";
	if (request->version != OPS_VERSION)
		return "the request has another version";
	if (request->kind < OP_SCAN || request->kind > OP_CHECK_HOST)
		return "the request has an unknown kind";
	if (request->kind == OP_SCAN || request->kind == OP_FIND_GPU_HOLDERS)
		return check_scope(request);
	if (request->kind == OP_CHECK_HOST)
		return NULL;
	if (request->kind == OP_BIND_VFIO && check_scope(request))
		return check_scope(request);
	return check_target(request);
}

bool request_is_in_scope(const struct op_request *request, struct pci_addr gpu)
{
	bool listed = false;

	for (uint32_t i = 0; i < request->gpu_count; i++)
		listed |= pci_addr_compare(request->gpus[i], gpu) == 0;
	return request->scope == OP_SCOPE_ALL || listed == (request->scope == OP_SCOPE_ONLY);
}

const char *request_check_monitor(const struct monitor_request *request, size_t size)
{
	if (size != sizeof(*request))
		return "the request has a wrong size";
	if (request->version != OPS_VERSION)
		return "the request has another version";
	if (request->kind != MONITOR_START_WORKER && request->kind != MONITOR_GIVE_UP_WORKER)
		return "the request has an unknown kind";
	return NULL;
}
