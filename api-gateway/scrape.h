/* SPDX-License-Identifier: Apache-2.0 */
/* What the services say of themselves, read for GET /metrics. */

#ifndef API_GATEWAY_SCRAPE_H
#define API_GATEWAY_SCRAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hypeman/gpu/v1/gpu_service.pb-c.h"

#include "services.h"

#define SCRAPE_STATES_MAX   16 /* values of an enum; newer ones count as 0, unspecified */
#define SCRAPE_PROFILES_MAX 64 /* others are not told apart */
#define SCRAPE_PULLS_MAX    16 /* as above */

struct scrape_profile {
	char name[64];
	unsigned used; /* vGPUs of it that instances hold */
};

struct scrape_pull {
	char image[256];
	int64_t bytes_done;
	int64_t bytes_total; /* 0: not known yet */
};

struct scrape {
	Hypeman__Gpu__V1__GetHostResponse *host; /* owned; NULL: gpu-agent did not answer */
	bool has_instances; /* instance-svc answered; else what follows is empty */
	unsigned instances[SCRAPE_STATES_MAX];
	unsigned images[SCRAPE_STATES_MAX];
	size_t profile_count;
	struct scrape_profile profiles[SCRAPE_PROFILES_MAX];
	size_t pull_count;
	struct scrape_pull pulls[SCRAPE_PULLS_MAX];
};

/* Asks each service for at most timeout_ms. *ret is all zero before. */
void scrape_read(struct scrape *ret, const struct services *services, int timeout_ms);
void scrape_done(struct scrape *scrape);

/* Vgpus of this profile that instances hold. */
unsigned scrape_profile_used(const struct scrape *scrape, const char *profile);

#endif
