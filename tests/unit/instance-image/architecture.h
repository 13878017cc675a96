/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of image tests that name the machine they run on. */

#ifndef TESTS_INSTANCE_IMAGE_ARCHITECTURE_H
#define TESTS_INSTANCE_IMAGE_ARCHITECTURE_H

#include <stdio.h>
#include <string.h>

#include "instance-svc/image_oci.h"

/* The format with this machine's architecture in place of a '%s'; free() it. */
static char *with_architecture(const char *format)
{
	const char *at = strstr(format, "%s");
	char *text = NULL;

	assert_true(asprintf(&text, "%.*s%s%s", at ? (int)(at - format) : (int)strlen(format),
			     format, at ? image_oci_architecture() : "", at ? at + 2 : "") >= 0);
	return text;
}

#endif
