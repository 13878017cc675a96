/* SPDX-License-Identifier: Apache-2.0 */
#include "id_text.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

int id_text_parse(const char *text, char end, uint32_t *ret, const char **ret_rest)
{
	unsigned long long value;
	char *stop;

	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &stop, 10);
	if (errno || *stop != end || value == 0 || value >= UINT32_MAX)
		return -EINVAL;
	*ret = (uint32_t)value;
	*ret_rest = stop + (end != '\0');
	return 0;
}
