/* SPDX-License-Identifier: Apache-2.0 */
/* Numeric user and group ids in settings. */

#ifndef GPU_AGENT_MONITOR_ID_TEXT_H
#define GPU_AGENT_MONITOR_ID_TEXT_H

#include <stdint.h>

/*
 * One id of somebody but root, up to the character `end`; *ret_rest is what follows it.
 * 0 or -EINVAL: (uid_t)-1 and (gid_t)-1 mean "leave it" to chown(2) and are no ids.
 */
int id_text_parse(const char *text, char end, uint32_t *ret, const char **ret_rest);

#endif
