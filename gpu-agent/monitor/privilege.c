/* SPDX-License-Identifier: Apache-2.0 */
#include "privilege.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <sys/prctl.h>
#include <unistd.h>

static uint64_t permitted(void)
{
	uint64_t set = 0;

	for (unsigned cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (capng_have_capability(CAPNG_PERMITTED, cap))
			set |= PRIVILEGE(cap);
	return set;
}

/* Without CAP_SETPCAP the bounding set stays: no_new_privs already keeps exec from using it. */
static int apply(uint64_t capabilities, struct err *err)
{
	uint64_t had;

	if (capng_get_caps_process() < 0)
		return err_sys(err, errno, "cannot read this process's capabilities");
	had = permitted();
	capng_clear(CAPNG_SELECT_BOTH);
	for (unsigned cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (capabilities & had & PRIVILEGE(cap))
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, cap);
	if ((had & PRIVILEGE(CAP_SETPCAP)) && capng_apply(CAPNG_SELECT_BOUNDS) < 0)
		return err_set(err, ERR_INTERNAL, "cannot empty the capability bounding set");
	if (capng_apply(CAPNG_SELECT_CAPS) < 0)
		return err_set(err, ERR_INTERNAL, "cannot give up capabilities");
	return 0;
}

int privilege_keep(uint64_t capabilities, struct err *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, errno, "cannot set no_new_privs");
	return apply(capabilities, err);
}

int privilege_become(uid_t uid, gid_t gid, struct err *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, errno, "cannot set no_new_privs");
	if (apply(PRIVILEGE(CAP_SETUID) | PRIVILEGE(CAP_SETGID), err) < 0)
		return -1;
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return err_sys(err, errno, "cannot become user %u, group %u", uid, gid);
	return apply(PRIVILEGE_NONE, err);
}
