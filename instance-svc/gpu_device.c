/* SPDX-License-Identifier: Apache-2.0 */
/* Which registered device somebody means who names a kind of GPU. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/scoped.h"
#include "gpu_client_internal.h"

typedef Hypeman__Gpu__V1__Device wire_device;
typedef Hypeman__Gpu__V1__GetHostResponse wire_host;

struct search {
	const char *name;
	const wire_host *host;
	char *ret;
	size_t size;
	bool found;	 /* by id or name: the search is over */
	bool free_match; /* *ret has one of the right kind */
};

static const char *gpu_name(const wire_host *host, const char *pci_address)
{
	for (size_t i = 0; i < host->n_physical_gpus; i++)
		if (strcmp(host->physical_gpus[i]->pci_address, pci_address) == 0)
			return host->physical_gpus[i]->name;
	return "";
}

static void look_at(struct search *search, const wire_device *device)
{
	if (strcmp(device->id, search->name) == 0 || strcmp(device->name, search->name) == 0) {
		snprintf(search->ret, search->size, "%s", search->name);
		search->found = true;
	} else if (!search->found && !search->free_match && uuid_is_valid(device->id) &&
		   device->attached_to_opt_case ==
			   HYPEMAN__GPU__V1__DEVICE__ATTACHED_TO_OPT__NOT_SET &&
		   strcmp(gpu_name(search->host, device->pci_address), search->name) == 0) {
		snprintf(search->ret, search->size, "%s", device->id);
		search->free_match = true;
	}
}

/* One page. *token is replaced by the next one. */
static int look_at_page(struct gpu_client *client, struct search *search, char **token,
			struct err *err)
{
	Hypeman__Gpu__V1__ListDevicesRequest request = HYPEMAN__GPU__V1__LIST_DEVICES_REQUEST__INIT;
	const Hypeman__Gpu__V1__ListDevicesResponse *page;
	ProtobufCMessage *answer;

	if (*token)
		request.page_token = *token;
	if (gpu_client_call(client, "ListDevices", &request.base, &answer, err) < 0)
		return -1;
	page = (const Hypeman__Gpu__V1__ListDevicesResponse *)answer;
	for (size_t i = 0; i < page->n_devices; i++)
		look_at(search, page->devices[i]);
	free(*token);
	*token = strdup(page->next_page_token);
	protobuf_c_message_free_unpacked(answer, NULL);
	return *token ? 0 : err_sys(err, ENOMEM, "cannot list the devices");
}

static int refuse(const struct search *search, struct err *err)
{
	for (size_t i = 0; i < search->host->n_physical_gpus; i++)
		if (strcmp(search->host->physical_gpus[i]->name, search->name) == 0)
			return err_set(err, ERR_INSUFFICIENT_CAPACITY,
				       "no registered device with a free '%s' is left: register "
				       "one, or wait until one is given back",
				       search->name);
	return err_set(err, ERR_DEVICE_NOT_FOUND,
		       "devices has '%s', which is neither the id or name of a registered device "
		       "nor the name of a GPU of this host",
		       search->name);
}

static int search_devices(struct gpu_client *client, struct search *search, struct err *err)
{
	scoped_free char *token = NULL;

	do {
		if (look_at_page(client, search, &token, err) < 0)
			return -1;
	} while (*token && !search->found);
	return search->found || search->free_match ? 0 : refuse(search, err);
}

int gpu_client_find_device(struct gpu_client *client, const char *name, char *ret, size_t size,
			   struct err *err)
{
	Hypeman__Gpu__V1__GetHostRequest request = HYPEMAN__GPU__V1__GET_HOST_REQUEST__INIT;
	struct search search = { .name = name, .ret = ret, .size = size };
	ProtobufCMessage *answer;
	int r;

	if (gpu_client_call(client, "GetHost", &request.base, &answer, err) < 0)
		return -1;
	search.host = (const wire_host *)answer;
	r = search_devices(client, &search, err);
	protobuf_c_message_free_unpacked(answer, NULL);
	return r;
}
