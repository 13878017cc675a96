/* SPDX-License-Identifier: Apache-2.0 */
#include "host.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/scoped.h"

/* The first line of ours: "name:first:count" or "uid:first:count". */
static int find_range(const char *file, const char *user, uid_t uid, struct host_ids *ret,
		      struct err *err)
{
	scoped_file FILE *in = fopen(file, "re");
	scoped_free char *line = NULL;
	size_t size = 0;
	char number[16];

	if (!in)
		return err_sys(err, errno, "cannot read %s", file);
	snprintf(number, sizeof(number), "%u", uid);
	while (getline(&line, &size, in) >= 0) {
		char *range = strchr(line, ':');

		if (!range)
			continue;
		*range = '\0';
		if (strcmp(line, user) != 0 && strcmp(line, number) != 0)
			continue;
		if (sscanf(range + 1, "%" SCNu32 ":%" SCNu32, &ret->first, &ret->count) == 2)
			return 0;
	}
	return err_set(err, ERR_FAILED_PRECONDITION,
		       "%s has no range for user %s: add the line \"%s:FIRST:131072\"", file, user,
		       user);
}

int host_read_ids(const char *file, const char *user, uid_t uid, const char *setting_name,
		  const char *setting, struct host_ids *ret, struct err *err)
{
	struct host_ids range, ids;
	char rest;

	if (find_range(file, user, uid, &range, err) < 0)
		return -1;
	if (range.count <= HOST_IMAGE_IDS || UINT32_MAX - range.first < range.count)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "%s gives user %s %" PRIu32 " ids: must be more than %d (for "
			       "images) and one for each VM, such as 131072",
			       file, user, range.count, HOST_IMAGE_IDS);
	ids.first = range.first + HOST_IMAGE_IDS;
	ids.count = range.count - HOST_IMAGE_IDS;
	if (*setting) {
		struct host_ids all = ids;

		if (sscanf(setting, "%" SCNu32 "-%" SCNu32 "%c", &ids.first, &ids.count, &rest) !=
			    2 ||
		    ids.count == 0 || ids.first < all.first || ids.first - all.first > all.count ||
		    ids.count > all.count - (ids.first - all.first))
			return err_field(err, setting_name,
					 "%s is '%s': must be FIRST-COUNT within %" PRIu32
					 "-%" PRIu32 " (%s)",
					 setting_name, setting, all.first, all.count, file);
	}
	*ret = ids;
	return 0;
}

int host_check_open_to_all(const char *path, const char *setting_name, bool executable,
			   struct err *err)
{
	char part[PATH_MAX];
	struct stat st;

	if (strlen(path) >= sizeof(part))
		return err_field(err, setting_name, "%s is too long", setting_name);
	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		if (stat(part, &st) < 0)
			return err_sys(err, errno, "%s: cannot look at %s", setting_name, part);
		if (!(st.st_mode & S_IXOTH))
			return err_field(err, setting_name,
					 "%s is '%s', but VMs run as users of their own and %s is "
					 "closed to others: chmod o+x it, or choose another place",
					 setting_name, path, part);
	}
	if (stat(path, &st) < 0)
		return err_sys(err, errno, "%s: cannot look at %s", setting_name, path);
	if (!S_ISREG(st.st_mode) || !(st.st_mode & S_IROTH) ||
	    (executable && !(st.st_mode & S_IXOTH)))
		return err_field(err, setting_name, "%s is '%s', which others may not %s",
				 setting_name, path, executable ? "execute" : "read");
	return 0;
}

void host_check_network(struct host *host, const char *tun)
{
	struct stat st;

	host->network_problem[0] = '\0';
	if (stat(tun, &st) < 0)
		snprintf(host->network_problem, sizeof(host->network_problem),
			 "%s is missing: load the module tun (modprobe tun)", tun);
	else if ((st.st_mode & (S_IROTH | S_IWOTH)) != (S_IROTH | S_IWOTH))
		snprintf(host->network_problem, sizeof(host->network_problem),
			 "%s is closed to ordinary users: chmod 0666 it, as udev does by default",
			 tun);
}

uid_t host_uid(const struct host *host, uint32_t slot)
{
	return host->uids.first + slot;
}

gid_t host_gid(const struct host *host, uint32_t slot)
{
	return host->gids.first + slot;
}

uint32_t host_slots(const struct host *host)
{
	return host->uids.count < host->gids.count ? host->uids.count : host->gids.count;
}
