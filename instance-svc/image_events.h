/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to images goes to those who watch events. */

#ifndef INSTANCE_SVC_IMAGE_EVENTS_H
#define INSTANCE_SVC_IMAGE_EVENTS_H

#include "image.h"

/* For image_store_set_observer(): `user` is the struct events. */
void image_events_tell(void *user, const struct image_news *news);

#endif
