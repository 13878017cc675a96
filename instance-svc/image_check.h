/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at downloaded layers before they are unpacked. */

#ifndef INSTANCE_SVC_IMAGE_CHECK_H
#define INSTANCE_SVC_IMAGE_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "image_manifest.h"
#include "image_work.h"

/*
 * Lists each layer of the layout WORK/oci in a jail and adds up what they take unpacked.
 * Refuses what image_listing.h refuses, naming the layer by its number from 1.
 */
int image_check_layers(const struct image_work *work, const struct image_layers *layers,
		       uint64_t bytes_max, const volatile bool *cancelled, uint64_t *ret_bytes,
		       struct err *err);

#endif
