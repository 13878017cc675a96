/* SPDX-License-Identifier: Apache-2.0 */
#include "bdf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int bdf_parse(const char *text, struct bdf *ret)
{
	unsigned int domain, bus, device, function;
	struct bdf bdf;

	if (sscanf(text, "%8x:%2x:%2x.%1x", &domain, &bus, &device, &function) != 4)
		return -EINVAL;
	if (device > 0x1f || function > 7)
		return -EINVAL;
	bdf = (struct bdf){
		.domain = domain,
		.bus = (uint8_t)bus,
		.devfn = (uint8_t)(device << 3 | function),
	};
	if (strcmp(text, BDF_STR(bdf)) != 0)
		return -EINVAL; /* sscanf also takes signs, spaces and capitals */
	*ret = bdf;
	return 0;
}

struct bdf_text bdf_text(struct bdf bdf)
{
	struct bdf_text text;

	snprintf(text.s, sizeof(text.s), "%04x:%02x:%02x.%x", bdf.domain, bdf.bus, bdf.devfn >> 3,
		 bdf.devfn & 7u);
	return text;
}

bool bdf_is_equal(struct bdf a, struct bdf b)
{
	return a.domain == b.domain && a.bus == b.bus && a.devfn == b.devfn;
}
