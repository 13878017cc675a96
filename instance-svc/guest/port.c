/* SPDX-License-Identifier: Apache-2.0 */
#include "port.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/scoped.h"

#define PORTS_FOLDER "/sys/class/virtio-ports"

static bool port_has_name(const char *port, const char *wanted)
{
	char path[300], name[64] = "";
	scoped_file FILE *file = NULL;

	snprintf(path, sizeof(path), PORTS_FOLDER "/%s/name", port);
	file = fopen(path, "re");
	if (!file || !fgets(name, sizeof(name), file))
		return false;
	name[strcspn(name, "\n")] = '\0';
	return strcmp(name, wanted) == 0;
}

int port_open(const char *name)
{
	scoped_dir DIR *dir = opendir(PORTS_FOLDER);
	struct dirent *entry;
	char path[300];

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || !port_has_name(entry->d_name, name))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
		return open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	}
	return -1;
}
