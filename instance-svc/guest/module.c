/* SPDX-License-Identifier: Apache-2.0 */
#include "module.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/scoped.h"

static int load(const char *name, struct err *err)
{
	char path[256];
	scoped_fd int fd = -1;

	snprintf(path, sizeof(path), MODULE_FOLDER "/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "cannot open %s", path);
	if (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST)
		return err_sys(err, errno, "cannot load kernel module %s", name);
	unlink(path);
	return 0;
}

int module_load_all(struct err *err)
{
	scoped_file FILE *list = fopen(MODULE_LIST, "re");
	char name[128];

	if (!list)
		return err_sys(err, errno, "cannot open %s", MODULE_LIST);
	while (fgets(name, sizeof(name), list)) {
		name[strcspn(name, "\n")] = '\0';
		if (name[0] != '\0' && load(name, err) < 0)
			return -1;
	}
	return 0;
}
