/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of PCI functions, as a routing id sees them: a VF is an offset from its PF. */

#ifndef SIMHOST_BDF_H
#define SIMHOST_BDF_H

#include <stdbool.h>
#include <stdint.h>

struct bdf {
	uint32_t domain;
	uint8_t bus;
	uint8_t devfn; /* device << 3 | function */
};

struct bdf_text {
	char s[sizeof("ffffffff:ff:1f.7")];
};

/* Reads "0000:41:00.0" and no other form. 0, or -EINVAL with *ret untouched. */
int bdf_parse(const char *text, struct bdf *ret);

struct bdf_text bdf_text(struct bdf bdf);

bool bdf_is_equal(struct bdf a, struct bdf b);

#define BDF_STR(bdf) (bdf_text(bdf).s)

#endif
