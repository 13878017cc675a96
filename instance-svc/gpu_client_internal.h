/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by gpu_client.c and gpu_device.c only. */

#ifndef INSTANCE_SVC_GPU_CLIENT_INTERNAL_H
#define INSTANCE_SVC_GPU_CLIENT_INTERNAL_H

#include <stdint.h>

#include "common/rpc/rpc.h"
#include "gpu_client.h"
#include "hypeman/gpu/v1/gpu_service.pb-c.h"

/* The request's texts are only read; protobuf-c has no const for them. */
#define TEXT(text) ((char *)(uintptr_t)(text))

/* *ret is freed with protobuf_c_message_free_unpacked(). */
int gpu_client_call(struct gpu_client *client, const char *method, const ProtobufCMessage *request,
		    ProtobufCMessage **ret, struct err *err);

#endif
