/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a config disk; its user against its first argument as passwd and group. */
#include "instance-svc/guest/config.h"
#include "instance-svc/guest/user.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct guest_config config;
	struct user user;
	struct err err;

	if (guest_config_parse(data, size, &config, &err) < 0)
		return 0;
	if (config.arg_count == 0 || config.args[config.arg_count] || config.workdir[0] != '/' ||
	    config.env[config.env_count])
		abort();
	if (user_lookup(config.user, config.args[0], config.args[0], &user, &err) == 0 &&
	    (user.uid == UINT32_MAX || user.group_count > USER_GROUPS_MAX))
		abort();
	guest_config_done(&config);
	return 0;
}
