# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The three services' users, and one for the demo registry, for as long as quickstart runs.
# Sourced by deploy/quickstart. Users of an installation, which have the same names, are
# used as they are. Ours are known by their comment, so that what a killed run left is
# never mistaken for an installation's.

USERS=(hypeman-gpu hypeman hypeman-api hypeman-demo)
USERS_COMMENT="hypeman quickstart"
# Written beside the user database by the tools that change it.
USERS_FILES_NEW=()
USERS_FILES=(/etc/passwd /etc/group /etc/shadow /etc/gshadow /etc/subuid /etc/subgid)

user_is_ours() {
	[[ $(getent passwd "$1" | cut -d: -f5) == "$USERS_COMMENT" ]]
}

# Ids far from those that packages and containers take: uid 999 of a container is the same
# uid on this machine. Below lie systemd-homed's, above systemd's dynamic users.
USERS_ID_FIRST=61000
USERS_ID_LAST=61183

# user_id_pick: an id that no user, group or process has.
user_id_pick() {
	local id

	for ((id = USERS_ID_FIRST; id <= USERS_ID_LAST; id++)); do
		if ! getent passwd "$id" >/dev/null && ! getent group "$id" >/dev/null &&
			! grep -qs "^[UG]id:.*\b$id\b" /proc/[0-9]*/status; then
			echo "$id"
			return
		fi
	done
	echo "no user id from $USERS_ID_FIRST to $USERS_ID_LAST is free" >&2
	return 1
}

# id_recorded RECORD NAME
id_recorded() {
	[[ ! -e $1 ]] || awk -v name="$2" '$1 == name { print $2 }' "$1"
}

# users_add RECORD: makes what is missing. RECORD, a file of "NAME ID" lines, gives a folder
# that is kept (--state) the same owners again.
users_add() {
	local record=$1 file name id

	for file in "${USERS_FILES[@]}"; do
		[[ -e $file- ]] || USERS_FILES_NEW+=("$file-")
		[[ -e $file ]] || USERS_FILES_NEW+=("$file")
	done
	for name in "${USERS[@]}"; do
		! getent passwd "$name" >/dev/null || continue
		id=$(id_recorded "$record" "$name")
		id=${id:-$(user_id_pick)} || return 1
		groupadd --gid "$id" "$name" || return 1
		useradd --uid "$id" --gid "$id" --no-create-home --home-dir /nonexistent \
			--shell /usr/sbin/nologin --comment "$USERS_COMMENT" "$name" 2>/dev/null || return 1
	done
	id=$(id_recorded "$record" subids)
	SUBIDS=$("$DEPLOY/hypeman-setup" --ids-only ${id:+--first "$id"}) || return 1
	{
		for name in "${USERS[@]}"; do
			echo "$name $(id -u "$name")"
		done
		echo "subids $SUBIDS"
	} >"$record"
}

users_remove() {
	local name

	for name in "${USERS[@]}"; do
		! user_is_ours "$name" || userdel --force "$name" || true
	done
	((${#USERS_FILES_NEW[@]} == 0)) || rm -f "${USERS_FILES_NEW[@]}"
	USERS_FILES_NEW=()
}
