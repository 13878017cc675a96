/* SPDX-License-Identifier: Apache-2.0 */
#include "user.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define SPEC_MAX   128
#define FIELDS_MAX 7

/* A piece of somebody else's text. */
struct piece {
	const char *at;
	size_t length;
};

static bool piece_is(struct piece piece, struct piece other)
{
	return piece.length == other.length && memcmp(piece.at, other.at, piece.length) == 0;
}

/* Takes the part before `separator` off *rest. False when nothing was left. */
static bool piece_cut(struct piece *rest, char separator, struct piece *ret)
{
	const char *end;

	if (!rest->at)
		return false;
	end = memchr(rest->at, separator, rest->length);
	ret->at = rest->at;
	ret->length = end ? (size_t)(end - rest->at) : rest->length;
	rest->at = end ? end + 1 : NULL;
	rest->length -= end ? ret->length + 1 : ret->length;
	return true;
}

/* Decimal, and not (id_t)-1, which means "leave it" to the kernel. */
static bool piece_id(struct piece piece, uint32_t *ret)
{
	uint64_t value = 0;

	if (piece.length == 0 || piece.length > 10)
		return false;
	for (size_t i = 0; i < piece.length; i++) {
		if (piece.at[i] < '0' || piece.at[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(piece.at[i] - '0');
	}
	if (value >= UINT32_MAX)
		return false;
	*ret = (uint32_t)value;
	return true;
}

/* The next line with at least `minimum` fields. */
static bool next_entry(struct piece *text, struct piece fields[FIELDS_MAX], size_t minimum)
{
	struct piece line;

	while (piece_cut(text, '\n', &line)) {
		size_t count = 0;

		memset(fields, 0, FIELDS_MAX * sizeof(*fields));
		while (count < FIELDS_MAX && piece_cut(&line, ':', &fields[count]))
			count++;
		if (count >= minimum)
			return true;
	}
	return false;
}

/* passwd: name:password:uid:gid:comment:home:shell */
static bool find_user(const char *passwd, struct piece wanted, bool by_id, struct user *ret,
		      struct piece *ret_name)
{
	struct piece text = { passwd, strlen(passwd) };
	struct piece f[FIELDS_MAX];
	uint32_t wanted_id = 0, uid, gid;

	if (by_id && !piece_id(wanted, &wanted_id))
		return false;
	while (next_entry(&text, f, 6)) {
		if (!piece_id(f[2], &uid) || !piece_id(f[3], &gid))
			continue;
		if (by_id ? uid != wanted_id : !piece_is(f[0], wanted))
			continue;
		ret->uid = uid;
		ret->gid = gid;
		if (f[5].length > 0 && f[5].length < sizeof(ret->home)) {
			memcpy(ret->home, f[5].at, f[5].length);
			ret->home[f[5].length] = '\0';
		}
		*ret_name = f[0];
		return true;
	}
	return false;
}

/* group: name:password:gid:member,member */
static bool find_group(const char *group, struct piece wanted, gid_t *ret)
{
	struct piece text = { group, strlen(group) };
	struct piece f[FIELDS_MAX];
	uint32_t gid;

	while (next_entry(&text, f, 3)) {
		if (piece_is(f[0], wanted) && piece_id(f[2], &gid)) {
			*ret = gid;
			return true;
		}
	}
	return piece_id(wanted, ret);
}

static void add_memberships(const char *group, struct piece name, struct user *user)
{
	struct piece text = { group, strlen(group) };
	struct piece f[FIELDS_MAX], member;
	uint32_t gid;

	while (name.length > 0 && next_entry(&text, f, 4)) {
		while (piece_cut(&f[3], ',', &member)) {
			if (piece_is(member, name) && piece_id(f[2], &gid) && gid != user->gid &&
			    user->group_count < USER_GROUPS_MAX)
				user->groups[user->group_count++] = gid;
		}
	}
}

int user_lookup(const char *spec, const char *passwd, const char *group, struct user *ret,
		struct err *err)
{
	struct user user = { .home = "/" };
	struct piece rest = { spec, strlen(spec) };
	struct piece who = { 0 }, which = { 0 }, name = { "", 0 };

	if (rest.length > SPEC_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT, "user is longer than %d characters",
			       SPEC_MAX);
	piece_cut(&rest, ':', &who);
	piece_cut(&rest, ':', &which);
	if (who.length == 0)
		who = (struct piece){ "0", 1 };
	if (!find_user(passwd, who, false, &user, &name) &&
	    !find_user(passwd, who, true, &user, &name) && !piece_id(who, &user.uid))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "user '%s': no '%.*s' in the image's /etc/passwd", spec,
			       (int)who.length, who.at);
	if (which.length == 0)
		add_memberships(group, name, &user);
	else if (!find_group(group, which, &user.gid))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "user '%s': no group '%.*s' in the image's /etc/group", spec,
			       (int)which.length, which.at);
	*ret = user;
	return 0;
}
