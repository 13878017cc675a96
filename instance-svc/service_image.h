/* SPDX-License-Identifier: Apache-2.0 */
/* hypeman.image.v1.ImageService over an image store. */

#ifndef INSTANCE_SVC_SERVICE_IMAGE_H
#define INSTANCE_SVC_SERVICE_IMAGE_H

#include "common/rpc/rpc.h"
#include "image.h"

#define SERVICE_IMAGE_NAME "hypeman.image.v1.ImageService"

/* After service_add(), which brings the descriptors. The store outlives the server. */
int service_image_add(struct rpc_server *server, struct image_store *store, struct err *err);

#endif
