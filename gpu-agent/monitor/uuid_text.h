/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one spelling of a UUID that we use: 36 characters, lower case, as the kernel prints it.
 */

#ifndef GPU_AGENT_MONITOR_UUID_TEXT_H
#define GPU_AGENT_MONITOR_UUID_TEXT_H

#include <stdbool.h>
#include <string.h>

#define UUID_TEXT_LENGTH 36

static inline bool uuid_text_is_valid(const char *text)
{
	if (strlen(text) != UUID_TEXT_LENGTH)
		return false;
	for (int i = 0; i < UUID_TEXT_LENGTH; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? text[i] != '-' : !strchr("0123456789abcdef", text[i]))
			return false;
	}
	return true;
}

#endif
