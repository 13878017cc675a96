/* SPDX-License-Identifier: Apache-2.0 */
#include "device_wire.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "hypeman/gpu/v1/gpu_service.pb-c.h"

#define LIST_MAX 1000

/* ---- Requests ----------------------------------------------------------------------- */

int register_request_from_wire(const ProtobufCMessage *message, struct pci_addr *ret_address,
			       const char **ret_name, struct err *err)
{
	const Hypeman__Gpu__V1__RegisterDeviceRequest *wire = (const void *)message;

	if (!wire->device)
		return err_field(err, "device", "device is missing");
	if (pci_addr_parse(wire->device->pci_address, ret_address))
		return err_field(err, "device.pci_address",
				 "device.pci_address is '%s', must be like 0000:82:00.0",
				 wire->device->pci_address);
	*ret_name = wire->device->name;
	return 0;
}

int device_list_request_from_wire(const ProtobufCMessage *message, size_t *ret_max,
				  size_t *ret_skip, struct err *err)
{
	const Hypeman__Gpu__V1__ListDevicesRequest *wire = (const void *)message;
	const char *token = wire->page_token;

	if (wire->page_size > LIST_MAX)
		return err_field(err, "page_size", "page_size is %" PRIu32 ", must be at most %d",
				 wire->page_size, LIST_MAX);
	if (strspn(token, "0123456789") != strlen(token) || strlen(token) > 9)
		return err_field(err, "page_token",
				 "page_token is '%s', must be a next_page_token of this service",
				 token);
	*ret_max = wire->page_size ? wire->page_size : LIST_MAX;
	*ret_skip = strtoul(token, NULL, 10);
	return 0;
}

/* ---- Answers ------------------------------------------------------------------------ */

/* A message with what it points at. */
struct wire_device {
	Hypeman__Gpu__V1__Device message;
	Google__Protobuf__Timestamp created_at;
	struct pci_addr_text address;
	char vendor_id[sizeof("10de")], device_id[sizeof("26b9")];
};

/* The caller may have gone: what was done stays done. */
static int reply(struct rpc_call *call, const ProtobufCMessage *message)
{
	(void)rpc_call_send(call, message);
	return 0;
}

static void device_to_wire(struct device_state *state, struct wire_device *ret)
{
	struct device *device = &state->device;

	*ret = (struct wire_device){
		.message = HYPEMAN__GPU__V1__DEVICE__INIT,
		.created_at = GOOGLE__PROTOBUF__TIMESTAMP__INIT,
		.address = pci_addr_text(device->address),
	};
	snprintf(ret->vendor_id, sizeof(ret->vendor_id), "%04x", device->vendor_id);
	snprintf(ret->device_id, sizeof(ret->device_id), "%04x", device->device_id);
	ret->message.id = device->id;
	ret->message.name = device->name;
	ret->message.type = device->type == DEVICE_GPU
				    ? HYPEMAN__GPU__V1__DEVICE_TYPE__DEVICE_TYPE_GPU
				    : HYPEMAN__GPU__V1__DEVICE_TYPE__DEVICE_TYPE_PCI;
	ret->message.pci_address = ret->address.s;
	ret->message.vendor_id = ret->vendor_id;
	ret->message.device_id = ret->device_id;
	if (state->iommu_group != OPS_NO_GROUP)
		ret->message.iommu_group = state->iommu_group;
	ret->message.bound_to_vfio = state->bound_to_vfio;
	if (state->attached) {
		ret->message.attached_to_opt_case =
			HYPEMAN__GPU__V1__DEVICE__ATTACHED_TO_OPT_ATTACHED_TO;
		ret->message.attached_to = state->attached_to;
	}
	ret->created_at.seconds = device->create_time_ms / 1000;
	ret->created_at.nanos = (int32_t)(device->create_time_ms % 1000 * 1000000);
	ret->message.created_at = &ret->created_at;
}

int register_reply(struct rpc_call *call, struct device_state *device)
{
	Hypeman__Gpu__V1__RegisterDeviceResponse response =
		HYPEMAN__GPU__V1__REGISTER_DEVICE_RESPONSE__INIT;
	struct wire_device wire;

	device_to_wire(device, &wire);
	response.device = &wire.message;
	return reply(call, &response.base);
}

int get_device_reply(struct rpc_call *call, struct device_state *device)
{
	Hypeman__Gpu__V1__GetDeviceResponse response = HYPEMAN__GPU__V1__GET_DEVICE_RESPONSE__INIT;
	struct wire_device wire;

	device_to_wire(device, &wire);
	response.device = &wire.message;
	return reply(call, &response.base);
}

int list_devices_reply(struct rpc_call *call, struct device_state *devices, size_t count,
		       size_t skip, bool more, struct err *err)
{
	Hypeman__Gpu__V1__ListDevicesResponse response =
		HYPEMAN__GPU__V1__LIST_DEVICES_RESPONSE__INIT;
	scoped_free struct wire_device *wires = calloc(count + 1, sizeof(*wires));
	scoped_free Hypeman__Gpu__V1__Device **messages = calloc(count + 1, sizeof(*messages));
	char token[24];

	if (!wires || !messages)
		return err_sys(err, ENOMEM, "cannot list the devices");
	for (size_t i = 0; i < count; i++) {
		device_to_wire(&devices[i], &wires[i]);
		messages[i] = &wires[i].message;
	}
	response.n_devices = count;
	response.devices = messages;
	if (more) {
		snprintf(token, sizeof(token), "%zu", skip + count);
		response.next_page_token = token;
	}
	return reply(call, &response.base);
}

/* A message with what it points at. */
struct wire_function {
	Hypeman__Gpu__V1__AvailableDevice message;
	struct pci_addr_text address;
	char vendor_id[sizeof("10de")], device_id[sizeof("26b9")];
	char vendor_name[OPS_NAME_MAX];
};

/* "NVIDIA L40S": the vendor comes first, unless the name is the two numbers. */
static void name_to_wire(struct function *function, struct wire_function *wire)
{
	char *space = strchr(function->name, ' ');

	wire->message.device_name = function->name;
	if (!space)
		return;
	snprintf(wire->vendor_name, sizeof(wire->vendor_name), "%.*s",
		 (int)(space - function->name), function->name);
	wire->message.vendor_name = wire->vendor_name;
	wire->message.device_name = space + 1;
}

static void function_to_wire(struct function *function, struct wire_function *wire)
{
	hypeman__gpu__v1__available_device__init(&wire->message);
	wire->address = pci_addr_text(function->address);
	snprintf(wire->vendor_id, sizeof(wire->vendor_id), "%04x", function->vendor);
	snprintf(wire->device_id, sizeof(wire->device_id), "%04x", function->device);
	wire->message.pci_address = wire->address.s;
	wire->message.vendor_id = wire->vendor_id;
	wire->message.device_id = wire->device_id;
	name_to_wire(function, wire);
	if (function->iommu_group != OPS_NO_GROUP)
		wire->message.iommu_group = function->iommu_group;
	if (function->driver[0]) {
		wire->message.current_driver_opt_case =
			HYPEMAN__GPU__V1__AVAILABLE_DEVICE__CURRENT_DRIVER_OPT_CURRENT_DRIVER;
		wire->message.current_driver = function->driver;
	}
}

int list_available_reply(struct rpc_call *call, struct function *functions, size_t count,
			 struct err *err)
{
	Hypeman__Gpu__V1__ListAvailableDevicesResponse response =
		HYPEMAN__GPU__V1__LIST_AVAILABLE_DEVICES_RESPONSE__INIT;
	scoped_free struct wire_function *wires = calloc(count + 1, sizeof(*wires));
	scoped_free Hypeman__Gpu__V1__AvailableDevice **messages =
		calloc(count + 1, sizeof(*messages));

	if (!wires || !messages)
		return err_sys(err, ENOMEM, "cannot list the devices");
	for (size_t i = 0; i < count; i++) {
		function_to_wire(&functions[i], &wires[i]);
		messages[i] = &wires[i].message;
	}
	response.n_devices = count;
	response.devices = messages;
	return reply(call, &response.base);
}

int unregister_reply(struct rpc_call *call)
{
	const Hypeman__Gpu__V1__UnregisterDeviceResponse response =
		HYPEMAN__GPU__V1__UNREGISTER_DEVICE_RESPONSE__INIT;

	return reply(call, &response.base);
}
