/* SPDX-License-Identifier: Apache-2.0 */
/* JSON of strangers: bounded, whole, and an object at the top. */

#ifndef INSTANCE_SVC_IMAGE_JSON_H
#define INSTANCE_SVC_IMAGE_JSON_H

#include <stddef.h>

#include <cjson/cJSON.h>

#include "common/err.h"
#include "common/scoped.h"

#define IMAGE_JSON_BYTES_MAX (4 << 20) /* more is no manifest and no config */

SCOPED_DEFINE(cJSON *, cJSON_Delete);

/* `what` names the document in the error. *ret is freed with cJSON_Delete. */
int image_json_parse(const char *what, const char *document, size_t length, cJSON **ret,
		     struct err *err);

/* NULL when there is no such member, or it is no text. */
const char *image_json_text(const cJSON *object, const char *name);

#endif
