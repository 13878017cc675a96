/* SPDX-License-Identifier: Apache-2.0 */
#include "service_image.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hypeman/image/v1/image_service.pb-c.h"
#include "service.h"
#include "service_call.h"
#include "strv.h"
#include "wire.h"

#define LIST_DEFAULT   100
#define LIST_MAX       1000
#define PAGE_BYTES_MAX (512 * 1024) /* well below what a client receives (1 MiB) */

typedef Hypeman__Image__V1__Image wire_image;
typedef Hypeman__Image__V1__Image__EnvEntry wire_env;

/* ---- An image as a message ---- */

static bool set_list(char ***field, size_t *count, char *const *list)
{
	*field = NULL;
	if (strv_extend(field, list) < 0)
		return false;
	*count = strv_length(*field);
	return true;
}

static bool add_env(wire_image *wire, const char *entry)
{
	wire_env *env = malloc(sizeof(*env));

	if (!env)
		return false;
	hypeman__image__v1__image__env_entry__init(env);
	wire->env[wire->n_env++] = env;
	return wire_set_pair(&env->key, &env->value, entry);
}

static bool set_env(wire_image *wire, char *const *env)
{
	size_t count = strv_length(env);

	if (count == 0)
		return true;
	wire->env = calloc(count, sizeof(*wire->env));
	for (size_t i = 0; wire->env && i < count; i++)
		if (!add_env(wire, env[i]))
			return false;
	return wire->env != NULL;
}

static bool set_config(wire_image *wire, const struct image *image)
{
	wire->size_bytes_opt_case = HYPEMAN__IMAGE__V1__IMAGE__SIZE_BYTES_OPT_SIZE_BYTES;
	wire->size_bytes = (int64_t)image->disk_bytes;
	if (!set_list(&wire->entrypoint, &wire->n_entrypoint, image->entrypoint) ||
	    !set_list(&wire->cmd, &wire->n_cmd, image->cmd) || !set_env(wire, image->env))
		return false;
	if (image->working_dir[0] == '\0')
		return true;
	wire->working_dir_opt_case = HYPEMAN__IMAGE__V1__IMAGE__WORKING_DIR_OPT_WORKING_DIR;
	return wire_set_text(&wire->working_dir, image->working_dir);
}

static bool set_progress(wire_image *wire, const struct image_progress *progress)
{
	Hypeman__Image__V1__ImageProgress *message = malloc(sizeof(*message));

	if (!message)
		return false;
	hypeman__image__v1__image_progress__init(message);
	message->layers_done = progress->layers_done;
	message->layers_total = progress->layers_total;
	message->bytes_done = (int64_t)progress->bytes_done;
	message->bytes_total = (int64_t)progress->bytes_total;
	wire->progress = message;
	return true;
}

static bool set_state(wire_image *wire, const struct image_info *info)
{
	wire->status = (Hypeman__Image__V1__ImageStatus)info->status;
	if (info->queue_position > 0) {
		wire->queue_position_opt_case =
			HYPEMAN__IMAGE__V1__IMAGE__QUEUE_POSITION_OPT_QUEUE_POSITION;
		wire->queue_position = info->queue_position;
	}
	if (info->status == IMAGE_FAILED) {
		wire->error_opt_case = HYPEMAN__IMAGE__V1__IMAGE__ERROR_OPT_ERROR;
		if (!wire_set_text(&wire->error, info->error))
			return false;
	}
	return info->progress.layers_total == 0 || set_progress(wire, &info->progress);
}

/* NULL with *err. An image that is deleted just now has no config any more. */
static wire_image *to_wire(struct image_store *store, const struct image_info *info,
			   struct err *err)
{
	scoped(image_free) struct image *image = NULL;
	wire_image *wire = malloc(sizeof(*wire));

	if (wire) {
		hypeman__image__v1__image__init(wire);
		if (info->status == IMAGE_READY)
			(void)image_store_load(store, info->reference, info->digest, &image, err);
		if (wire_set_text(&wire->name, info->reference) &&
		    wire_set_text(&wire->digest, info->digest) &&
		    wire_set_time(&wire->created_at, info->created_ms) && set_state(wire, info) &&
		    (!image || set_config(wire, image)))
			return wire;
		protobuf_c_message_free_unpacked(&wire->base, NULL);
	}
	err_sys(err, ENOMEM, "cannot describe image '%s'", info->reference);
	return NULL;
}

static wire_image *describe(struct image_store *store, const char *name, struct err *err)
{
	struct image_info info;

	if (image_store_describe(store, name, &info, err) < 0)
		return NULL;
	return to_wire(store, &info, err);
}

/* ---- The methods ---- */

static int create_image(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			struct err *err)
{
	const Hypeman__Image__V1__CreateImageRequest *request =
		(const Hypeman__Image__V1__CreateImageRequest *)message;
	Hypeman__Image__V1__CreateImageResponse response =
		HYPEMAN__IMAGE__V1__CREATE_IMAGE_RESPONSE__INIT;
	scoped_free char *name = NULL;

	if (!request->image || *request->image->name == '\0')
		return err_field(err, "image.name",
				 "name is missing: must be an image reference, such as "
				 "\"docker.io/library/busybox:latest\"");
	if (image_reference_normalize(request->image->name, "image.name", &name, err) < 0 ||
	    image_store_request(user, name, err) < 0)
		return service_refuse(call, "CreateImage", err);
	response.image = describe(user, name, err);
	if (!response.image)
		return service_refuse(call, "CreateImage", err);
	(void)rpc_call_send(call, &response.base);
	protobuf_c_message_free_unpacked(&response.image->base, NULL);
	return 0;
}

static int get_image(struct rpc_call *call, const ProtobufCMessage *message, void *user,
		     struct err *err)
{
	const Hypeman__Image__V1__GetImageRequest *request =
		(const Hypeman__Image__V1__GetImageRequest *)message;
	Hypeman__Image__V1__GetImageResponse response =
		HYPEMAN__IMAGE__V1__GET_IMAGE_RESPONSE__INIT;

	response.image = describe(user, request->name, err);
	if (!response.image)
		return -1;
	(void)rpc_call_send(call, &response.base);
	protobuf_c_message_free_unpacked(&response.image->base, NULL);
	return 0;
}

/* As many as fit a message; the page then ends earlier. */
static int fill_page(struct image_store *store, const struct image_info *list, size_t count,
		     Hypeman__Image__V1__ListImagesResponse *response, struct err *err)
{
	size_t bytes = 0;

	response->images = calloc(count + 1, sizeof(*response->images));
	if (!response->images)
		return err_sys(err, ENOMEM, "cannot list the images");
	for (size_t i = 0; i < count && bytes < PAGE_BYTES_MAX; i++) {
		wire_image *wire = to_wire(store, &list[i], err);

		if (!wire)
			return -1;
		response->images[response->n_images++] = wire;
		bytes += protobuf_c_message_get_packed_size(&wire->base);
	}
	return 0;
}

/* A page token is the name of the last image of the page before. */
static int list_images(struct rpc_call *call, const ProtobufCMessage *message, void *user,
		       struct err *err)
{
	const Hypeman__Image__V1__ListImagesRequest *request =
		(const Hypeman__Image__V1__ListImagesRequest *)message;
	Hypeman__Image__V1__ListImagesResponse response =
		HYPEMAN__IMAGE__V1__LIST_IMAGES_RESPONSE__INIT;
	size_t limit = request->page_size ? request->page_size : LIST_DEFAULT, count;
	scoped_free struct image_info *list = NULL;
	char token[256] = "";
	bool more;
	int r;

	if (limit > LIST_MAX)
		return err_field(err, "page_size", "page_size is %" PRIu32 ": must be at most %d",
				 request->page_size, LIST_MAX);
	if (image_store_list(user, request->page_token, limit, &list, &count, &more, err) < 0)
		return -1;
	r = fill_page(user, list, count, &response, err);
	if (r == 0 && response.n_images > 0 && (more || response.n_images < count))
		snprintf(token, sizeof(token), "%s", list[response.n_images - 1].reference);
	response.next_page_token = token;
	if (r == 0)
		(void)rpc_call_send(call, &response.base);
	for (size_t i = 0; i < response.n_images; i++)
		protobuf_c_message_free_unpacked(&response.images[i]->base, NULL);
	free(response.images);
	return r;
}

static int delete_image(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			struct err *err)
{
	const Hypeman__Image__V1__DeleteImageRequest *request =
		(const Hypeman__Image__V1__DeleteImageRequest *)message;
	const Hypeman__Image__V1__DeleteImageResponse response =
		HYPEMAN__IMAGE__V1__DELETE_IMAGE_RESPONSE__INIT;

	if (image_store_delete(user, request->name, err) < 0)
		return service_refuse(call, "DeleteImage", err);
	(void)rpc_call_send(call, &response.base);
	return 0;
}

static const struct rpc_method methods[] = {
	{ "CreateImage", ROLE_OPERATOR, create_image, 0 },
	{ "GetImage", ROLE_READER | ROLE_OPERATOR, get_image, RPC_READ },
	{ "ListImages", ROLE_READER | ROLE_OPERATOR, list_images, RPC_READ },
	{ "DeleteImage", ROLE_OPERATOR, delete_image, 0 },
	{ NULL, 0, NULL, 0 },
};

int service_image_add(struct rpc_server *server, struct image_store *store, struct err *err)
{
	return rpc_server_add_service(server, &hypeman__image__v1__image_service__descriptor,
				      methods, store, err);
}
