/* SPDX-License-Identifier: Apache-2.0 */
#include "device_service.h"

#include <errno.h>

#include "device_wire.h"
#include "hypeman/gpu/v1/gpu_service.pb-c.h"

int register_device(struct rpc_call *call, const ProtobufCMessage *request, void *user,
		    struct err *err)
{
	struct gpu_service *service = user;
	struct device_state device;
	struct pci_addr address;
	const char *name;

	if (register_request_from_wire(request, &address, &name, err) ||
	    device_register(service->agent, address, name, &device, err))
		return gpu_service_refuse(call, "RegisterDevice", err);
	return register_reply(call, &device);
}

int get_device(struct rpc_call *call, const ProtobufCMessage *request, void *user, struct err *err)
{
	const Hypeman__Gpu__V1__GetDeviceRequest *wire = (const void *)request;
	struct gpu_service *service = user;
	struct device_state device;

	if (device_get(service->agent, wire->id, &device, err))
		return -1;
	return get_device_reply(call, &device);
}

int list_devices(struct rpc_call *call, const ProtobufCMessage *request, void *user,
		 struct err *err)
{
	struct gpu_service *service = user;
	scoped_free struct device_state *devices = NULL;
	size_t max, skip;
	bool more;
	int count;

	if (device_list_request_from_wire(request, &max, &skip, err))
		return -1;
	count = device_list(service->agent, skip, max, &devices, &more);
	if (count < 0)
		return err_sys(err, count, "cannot list the devices");
	return list_devices_reply(call, devices, (size_t)count, skip, more, err);
}

int list_available_devices(struct rpc_call *call, const ProtobufCMessage *request, void *user,
			   struct err *err)
{
	struct gpu_service *service = user;
	scoped_free struct function *functions = NULL;
	int count;

	(void)request;
	count = device_list_available(service->agent, &functions, err);
	if (count < 0)
		return -1;
	return list_available_reply(call, functions, (size_t)count, err);
}

int unregister_device(struct rpc_call *call, const ProtobufCMessage *request, void *user,
		      struct err *err)
{
	const Hypeman__Gpu__V1__UnregisterDeviceRequest *wire = (const void *)request;
	struct gpu_service *service = user;

	if (device_unregister(service->agent, wire->id, err))
		return gpu_service_refuse(call, "UnregisterDevice", err);
	return unregister_reply(call);
}
