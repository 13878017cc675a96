/* SPDX-License-Identifier: Apache-2.0 */
#include "reflection.h"

#include <errno.h>
#include <stdlib.h>

#include "grpc/reflection/v1/reflection.pb-c.h"
#include "grpc/reflection/v1alpha/reflection.pb-c.h"

#include "call.h"

/*
 * The two versions have the same layout and differ in the package's name only, so one
 * set of generated structs serves both; which descriptors a message carries decides how
 * it is packed.
 */
typedef Grpc__Reflection__V1__ServerReflectionRequest reflection_request;
typedef Grpc__Reflection__V1__ServerReflectionResponse reflection_response;

_Static_assert(sizeof(reflection_request) ==
		       sizeof(Grpc__Reflection__V1alpha__ServerReflectionRequest),
	       "one layout");
_Static_assert(sizeof(reflection_response) ==
		       sizeof(Grpc__Reflection__V1alpha__ServerReflectionResponse),
	       "one layout");

#define REQUEST(name)  GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##name
#define RESPONSE(name) GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##name

struct version {
	const ProtobufCServiceDescriptor *service;
	const ProtobufCMessageDescriptor *response, *files, *services, *entry, *numbers, *error;
};

#define VERSION(v)                                                                                 \
	{                                                                                          \
		.service = &grpc__reflection__##v##__server_reflection__descriptor,                \
		.response = &grpc__reflection__##v##__server_reflection_response__descriptor,      \
		.files = &grpc__reflection__##v##__file_descriptor_response__descriptor,           \
		.services = &grpc__reflection__##v##__list_service_response__descriptor,           \
		.entry = &grpc__reflection__##v##__service_response__descriptor,                   \
		.numbers = &grpc__reflection__##v##__extension_number_response__descriptor,        \
		.error = &grpc__reflection__##v##__error_response__descriptor,                     \
	}

static struct version versions[] = { VERSION(v1), VERSION(v1alpha) };

static int answer_error(const struct version *version, struct rpc_call *call,
			reflection_response *response, enum err_grpc_code code, const char *text)
{
	Grpc__Reflection__V1__ErrorResponse error = GRPC__REFLECTION__V1__ERROR_RESPONSE__INIT;

	error.base.descriptor = version->error;
	error.error_code = (int)code;
	error.error_message = (char *)(uintptr_t)text;
	response->message_response_case = RESPONSE(ERROR_RESPONSE);
	response->error_response = &error;
	return rpc_call_send(call, &response->base);
}

static int answer_services(const struct version *version, struct rpc_call *call,
			   reflection_response *response)
{
	const struct rpc_server *server = call->server;
	Grpc__Reflection__V1__ListServiceResponse list =
		GRPC__REFLECTION__V1__LIST_SERVICE_RESPONSE__INIT;
	Grpc__Reflection__V1__ServiceResponse *entries;
	Grpc__Reflection__V1__ServiceResponse **pointers;
	int r = -ENOMEM;

	entries = calloc(server->service_count, sizeof(*entries));
	pointers = calloc(server->service_count, sizeof(*pointers));
	if (entries && pointers) {
		for (size_t i = 0; i < server->service_count; i++) {
			grpc__reflection__v1__service_response__init(&entries[i]);
			entries[i].base.descriptor = version->entry;
			entries[i].name = (char *)(uintptr_t)server->services[i]->name;
			pointers[i] = &entries[i];
		}
		list.base.descriptor = version->services;
		list.n_service = server->service_count;
		list.service = pointers;
		response->message_response_case = RESPONSE(LIST_SERVICES_RESPONSE);
		response->list_services_response = &list;
		r = rpc_call_send(call, &response->base);
	}
	free(pointers);
	free(entries);
	return r;
}

static int pack_files(const descriptors_file **files, int count, ProtobufCBinaryData *packed)
{
	for (int i = 0; i < count; i++) {
		packed[i].len = protobuf_c_message_get_packed_size(&files[i]->base);
		packed[i].data = malloc(packed[i].len + 1);
		if (!packed[i].data)
			return -ENOMEM;
		protobuf_c_message_pack(&files[i]->base, packed[i].data);
	}
	return 0;
}

/* The file and all that it imports, so that one answer is enough for a client. */
static int answer_file(const struct version *version, struct rpc_call *call,
		       reflection_response *response, const descriptors_file *file)
{
	Grpc__Reflection__V1__FileDescriptorResponse list =
		GRPC__REFLECTION__V1__FILE_DESCRIPTOR_RESPONSE__INIT;
	const descriptors_file **files = NULL;
	ProtobufCBinaryData *packed = NULL;
	int count, r = -ENOMEM;

	if (!file)
		return answer_error(version, call, response, ERR_GRPC_NOT_FOUND,
				    "this server has no such file or symbol");
	count = descriptors_closure(&call->server->descriptors, file, &files);
	if (count > 0)
		packed = calloc((size_t)count, sizeof(*packed));
	if (packed && pack_files(files, count, packed) == 0) {
		list.base.descriptor = version->files;
		list.n_file_descriptor_proto = (size_t)count;
		list.file_descriptor_proto = packed;
		response->message_response_case = RESPONSE(FILE_DESCRIPTOR_RESPONSE);
		response->file_descriptor_response = &list;
		r = rpc_call_send(call, &response->base);
	}
	for (int i = 0; packed && i < count; i++)
		free(packed[i].data);
	free(packed);
	free(files);
	return r;
}

/* proto3 has no extensions: a known type has none. */
static int answer_numbers(const struct version *version, struct rpc_call *call,
			  reflection_response *response, char *type)
{
	Grpc__Reflection__V1__ExtensionNumberResponse numbers =
		GRPC__REFLECTION__V1__EXTENSION_NUMBER_RESPONSE__INIT;

	if (!descriptors_find_symbol(&call->server->descriptors, type))
		return answer_error(version, call, response, ERR_GRPC_NOT_FOUND,
				    "this server has no such type");
	numbers.base.descriptor = version->numbers;
	numbers.base_type_name = type;
	response->message_response_case = RESPONSE(ALL_EXTENSION_NUMBERS_RESPONSE);
	response->all_extension_numbers_response = &numbers;
	return rpc_call_send(call, &response->base);
}

static int answer(const struct version *version, struct rpc_call *call, reflection_request *request)
{
	const struct descriptors *descriptors = &call->server->descriptors;
	reflection_response response = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;

	response.base.descriptor = version->response;
	response.valid_host = request->host;
	response.original_request = request;
	switch (request->message_request_case) {
	case REQUEST(LIST_SERVICES):
		return answer_services(version, call, &response);
	case REQUEST(FILE_BY_FILENAME):
		return answer_file(version, call, &response,
				   descriptors_find_file(descriptors, request->file_by_filename));
	case REQUEST(FILE_CONTAINING_SYMBOL):
		return answer_file(
			version, call, &response,
			descriptors_find_symbol(descriptors, request->file_containing_symbol));
	case REQUEST(ALL_EXTENSION_NUMBERS_OF_TYPE):
		return answer_numbers(version, call, &response,
				      request->all_extension_numbers_of_type);
	case REQUEST(FILE_CONTAINING_EXTENSION):
		return answer_file(version, call, &response, NULL);
	default:
		return answer_error(version, call, &response, ERR_GRPC_INVALID_ARGUMENT,
				    "the request asks for nothing");
	}
}

static int serve(struct rpc_call *call, const ProtobufCMessage *none, void *user, struct err *err)
{
	const struct version *version = user;
	ProtobufCMessage *request = NULL;
	int more;

	(void)none;
	for (;;) {
		int r;

		more = rpc_call_receive(call, &request, err);
		if (more <= 0)
			return more;
		r = answer(version, call, (reflection_request *)request);
		protobuf_c_message_free_unpacked(request, NULL);
		if (r < 0)
			return err_sys(err, r, "cannot answer");
	}
}

int reflection_serve(struct rpc_server *server, struct err *err)
{
	static const struct rpc_method methods[] = {
		{ .name = "ServerReflectionInfo", .handler = serve, .flags = RPC_LONG | RPC_READ },
		{ 0 },
	};

	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
		if (rpc_server_add_service(server, versions[i].service, methods, &versions[i], err))
			return -1;
	return 0;
}
