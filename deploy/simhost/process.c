/* SPDX-License-Identifier: Apache-2.0 */
#include "process.h"

#include <string.h>

#include "common/scoped.h"

struct process process_of_thread(pid_t thread)
{
	struct process process = { .id = thread, .command = "?" };
	char path[sizeof("/proc/2147483648/status")], line[256];
	scoped_file FILE *file = NULL;

	snprintf(path, sizeof(path), "/proc/%d/status", thread);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		(void)sscanf(line, "Name: %15[^\n]", process.command);
		if (sscanf(line, "Tgid: %d", &process.id) == 1)
			break;
	}
	return process;
}
