/* SPDX-License-Identifier: Apache-2.0 */
#include "service_volume.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hypeman/volume/v1/volume_service.pb-c.h"
#include "service_call.h"
#include "service_internal.h"
#include "wire.h"

#define LIST_DEFAULT   100
#define LIST_MAX       1000
#define REQUEST_ID_MAX 128

typedef Hypeman__Volume__V1__Volume wire_volume;

struct volume_service {
	struct volumes *volumes;
	struct instances *instances;
};

/* ---- A volume as a message ---- */

static bool add_attachment(wire_volume *wire, const struct volume_attachment *attachment)
{
	Hypeman__Volume__V1__VolumeAttachment *message = malloc(sizeof(*message));

	if (!message)
		return false;
	hypeman__volume__v1__volume_attachment__init(message);
	wire->attachments[wire->n_attachments++] = message;
	message->readonly = attachment->read_only;
	return wire_set_text(&message->instance_id, attachment->instance) &&
	       wire_set_text(&message->mount_path, attachment->path);
}

static bool set_attachments(wire_volume *wire, const struct volume_attachment *list, size_t count)
{
	if (count == 0)
		return true;
	wire->attachments = calloc(count, sizeof(*wire->attachments));
	for (size_t i = 0; wire->attachments && i < count; i++)
		if (!add_attachment(wire, &list[i]))
			return false;
	return wire->attachments != NULL;
}

/* NULL with *err. */
static wire_volume *to_wire(const struct volume_service *service, const struct volume *volume,
			    struct err *err)
{
	scoped_free struct volume_attachment *attachments = NULL;
	wire_volume *wire;
	size_t count;

	if (instances_find_attachments(service->instances, volume->id, &attachments, &count, err) <
	    0)
		return NULL;
	wire = malloc(sizeof(*wire));
	if (wire) {
		hypeman__volume__v1__volume__init(wire);
		wire->size_gb = volume->size_gb;
		if (wire_set_text(&wire->id, volume->id) &&
		    wire_set_text(&wire->name, volume->name) &&
		    wire_set_time(&wire->created_at, volume->created_ms) &&
		    set_attachments(wire, attachments, count))
			return wire;
		protobuf_c_message_free_unpacked(&wire->base, NULL);
	}
	err_sys(err, ENOMEM, "cannot describe volume '%s'", volume->name);
	return NULL;
}

/* ---- Methods of VolumeService ---- */

static int read_request(struct rpc_call *call, const char *id, struct volume *ret, struct err *err)
{
	const struct rpc_peer *peer = rpc_call_peer(call);

	if (*id == '\0')
		return 0;
	if (strlen(id) > REQUEST_ID_MAX)
		return err_field(err, "request_id", "request_id has more than %d characters",
				 REQUEST_ID_MAX);
	snprintf(ret->request, sizeof(ret->request), "%s %s", peer ? peer->name : "", id);
	return 0;
}

static int read_spec(const Hypeman__Volume__V1__VolumeSpec *spec, struct volume *ret,
		     struct err *err)
{
	if (!spec)
		return err_field(err, "volume", "volume is missing");
	if (strlen(spec->id) > VOLUME_ID_MAX)
		return err_field(err, "volume.id", "id has more than %d characters", VOLUME_ID_MAX);
	if (strlen(spec->name) >= sizeof(ret->name))
		return err_field(err, "volume.name", "name has more than %zu characters",
				 sizeof(ret->name) - 1);
	snprintf(ret->id, sizeof(ret->id), "%s", spec->id);
	snprintf(ret->name, sizeof(ret->name), "%s", spec->name);
	ret->size_gb = spec->size_gb;
	return 0;
}

static int create_volume(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			 struct err *err)
{
	const Hypeman__Volume__V1__CreateVolumeRequest *request =
		(const Hypeman__Volume__V1__CreateVolumeRequest *)message;
	Hypeman__Volume__V1__CreateVolumeResponse response =
		HYPEMAN__VOLUME__V1__CREATE_VOLUME_RESPONSE__INIT;
	const struct volume_service *service = user;
	struct volume wanted = { 0 }, made;

	if (service_read_principal(call, request->principal, wanted.principal, err) < 0 ||
	    read_spec(request->volume, &wanted, err) < 0 ||
	    read_request(call, request->request_id, &wanted, err) < 0 ||
	    volumes_create(service->volumes, &wanted, &made, err) < 0)
		return service_refuse(call, "CreateVolume", err);
	response.volume = to_wire(service, &made, err);
	if (!response.volume)
		return service_refuse(call, "CreateVolume", err);
	return service_answer(call, &response.base, &response.volume->base);
}

static int get_volume(struct rpc_call *call, const ProtobufCMessage *message, void *user,
		      struct err *err)
{
	const Hypeman__Volume__V1__GetVolumeRequest *request =
		(const Hypeman__Volume__V1__GetVolumeRequest *)message;
	Hypeman__Volume__V1__GetVolumeResponse response =
		HYPEMAN__VOLUME__V1__GET_VOLUME_RESPONSE__INIT;
	const struct volume_service *service = user;
	struct volume volume;

	if (volumes_find(service->volumes, request->id, &volume, err) < 0)
		return -1;
	response.volume = to_wire(service, &volume, err);
	return response.volume ? service_answer(call, &response.base, &response.volume->base) : -1;
}

/* A page token is "CREATED ID" of the last volume of the page before. */
static int read_token(const char *token, struct volume *ret, struct err *err)
{
	int end = 0;

	if (sscanf(token, "%19" SCNd64 " %63[a-z0-9-]%n", &ret->created_ms, ret->id, &end) == 2 &&
	    token[end] == '\0')
		return 0;
	return err_field(err, "page_token",
			 "page_token is '%.64s': must be a next_page_token of an earlier answer",
			 token);
}

static int fill_page(const struct volume_service *service, const struct volume *list, size_t count,
		     Hypeman__Volume__V1__ListVolumesResponse *response, struct err *err)
{
	response->volumes = calloc(count + 1, sizeof(*response->volumes));
	if (!response->volumes)
		return err_sys(err, ENOMEM, "cannot list the volumes");
	for (size_t i = 0; i < count; i++) {
		wire_volume *wire = to_wire(service, &list[i], err);

		if (!wire)
			return -1;
		response->volumes[response->n_volumes++] = wire;
	}
	return 0;
}

static int list_volumes(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			struct err *err)
{
	const Hypeman__Volume__V1__ListVolumesRequest *request =
		(const Hypeman__Volume__V1__ListVolumesRequest *)message;
	Hypeman__Volume__V1__ListVolumesResponse response =
		HYPEMAN__VOLUME__V1__LIST_VOLUMES_RESPONSE__INIT;
	const struct volume_service *service = user;
	size_t limit = request->page_size ? request->page_size : LIST_DEFAULT, count;
	scoped_free struct volume *list = NULL;
	struct volume after = { 0 };
	char token[96] = "";
	bool more;
	int r;

	if (limit > LIST_MAX)
		return err_field(err, "page_size", "page_size is %" PRIu32 ": must be at most %d",
				 request->page_size, LIST_MAX);
	if (*request->page_token && read_token(request->page_token, &after, err) < 0)
		return -1;
	if (volumes_list(service->volumes, *request->page_token ? &after : NULL, limit, &list,
			 &count, &more, err) < 0)
		return -1;
	r = fill_page(service, list, count, &response, err);
	if (r == 0 && more)
		snprintf(token, sizeof(token), "%" PRId64 " %s", list[count - 1].created_ms,
			 list[count - 1].id);
	response.next_page_token = token;
	if (r == 0)
		(void)rpc_call_send(call, &response.base);
	for (size_t i = 0; i < response.n_volumes; i++)
		protobuf_c_message_free_unpacked(&response.volumes[i]->base, NULL);
	free(response.volumes);
	return r;
}

static int delete_volume(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			 struct err *err)
{
	const Hypeman__Volume__V1__DeleteVolumeRequest *request =
		(const Hypeman__Volume__V1__DeleteVolumeRequest *)message;
	const Hypeman__Volume__V1__DeleteVolumeResponse response =
		HYPEMAN__VOLUME__V1__DELETE_VOLUME_RESPONSE__INIT;

	if (volumes_delete(((const struct volume_service *)user)->volumes, request->id, err) < 0)
		return service_refuse(call, "DeleteVolume", err);
	(void)rpc_call_send(call, &response.base);
	return 0;
}

static const struct rpc_method methods[] = {
	{ "CreateVolume", ROLE_OPERATOR, create_volume, RPC_LONG },
	{ "GetVolume", ROLE_READER | ROLE_OPERATOR, get_volume, RPC_READ },
	{ "ListVolumes", ROLE_READER | ROLE_OPERATOR, list_volumes, RPC_READ },
	{ "DeleteVolume", ROLE_OPERATOR, delete_volume, 0 },
	{ NULL, 0, NULL, 0 },
};

int service_volume_add(struct rpc_server *server, struct volumes *volumes,
		       struct instances *instances, struct err *err)
{
	static struct volume_service service; /* one server a process */

	service = (struct volume_service){ .volumes = volumes, .instances = instances };
	return rpc_server_add_service(server, &hypeman__volume__v1__volume_service__descriptor,
				      methods, &service, err);
}

/* ---- Methods of InstanceService ---- */

int service_attach_volume(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			  struct err *err)
{
	const Hypeman__Instance__V1__AttachVolumeRequest *request =
		(const Hypeman__Instance__V1__AttachVolumeRequest *)message;
	Hypeman__Instance__V1__AttachVolumeResponse response =
		HYPEMAN__INSTANCE__V1__ATTACH_VOLUME_RESPONSE__INIT;
	const char *path = request->attachment ? request->attachment->mount_path : "";
	struct spec_volume volume = { .read_only = request->attachment &&
						   request->attachment->readonly };

	if (strlen(request->volume_id) >= sizeof(volume.id))
		return err_field(err, "volume_id", "volume_id has more than %zu characters",
				 sizeof(volume.id) - 1);
	if (spec_check_path(path, "attachment.mount_path", err) < 0)
		return service_refuse(call, "AttachVolume", err);
	snprintf(volume.id, sizeof(volume.id), "%s", request->volume_id);
	snprintf(volume.path, sizeof(volume.path), "%s", path);
	if (instances_attach_volume(((const struct service *)user)->instances, request->id, &volume,
				    &response.instance, err) < 0)
		return service_refuse(call, "AttachVolume", err);
	return service_answer(call, &response.base, &response.instance->base);
}

int service_detach_volume(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			  struct err *err)
{
	const Hypeman__Instance__V1__DetachVolumeRequest *request =
		(const Hypeman__Instance__V1__DetachVolumeRequest *)message;
	Hypeman__Instance__V1__DetachVolumeResponse response =
		HYPEMAN__INSTANCE__V1__DETACH_VOLUME_RESPONSE__INIT;

	if (instances_detach_volume(((const struct service *)user)->instances, request->id,
				    request->volume_id, &response.instance, err) < 0)
		return service_refuse(call, "DetachVolume", err);
	return service_answer(call, &response.base, &response.instance->base);
}
