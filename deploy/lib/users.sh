# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The three services' users, and one for the demo registry, for as long as quickstart runs.
# Sourced by deploy/quickstart. Users of an installation, which have the same names, are
# used as they are. Ours are known by their comment, so that what a killed run left is
# never mistaken for an installation's.

USERS=(hypeman-gpu hypeman hypeman-api hypeman-demo)
USERS_COMMENT="hypeman quickstart"
# Written beside the user database by the tools that change it.
USERS_FILES=(/etc/passwd /etc/group /etc/shadow /etc/gshadow /etc/subuid /etc/subgid)

user_is_ours() {
	[[ $(getent passwd "$1" | cut -d: -f5) == "$USERS_COMMENT" ]]
}

# users_add RECORD: makes what is missing. RECORD, a file of "NAME ID" lines, gives a folder
# that is kept (--state) the same owners again.
users_add() {
	local record=$1 file name id

	USERS_BACKUPS_NEW=()
	for file in "${USERS_FILES[@]}"; do
		[[ -e $file- ]] || USERS_BACKUPS_NEW+=("$file-")
		[[ -e $file ]] || USERS_BACKUPS_NEW+=("$file")
	done
	for name in "${USERS[@]}"; do
		if ! getent passwd "$name" >/dev/null; then
			id=$(awk -v name="$name" '$1 == name { print $2 }' "$record" 2>/dev/null || true)
			useradd --system --no-create-home --home-dir /nonexistent --user-group \
				--shell /usr/sbin/nologin --comment "$USERS_COMMENT" ${id:+--uid "$id"} "$name" ||
				return 1
		fi
	done
	id=$(awk '$1 == "subids" { print $2 }' "$record" 2>/dev/null || true)
	SUBIDS=$("$DEPLOY/hypeman-setup" --ids-only ${id:+--first "$id"}) || return 1
	{
		for name in "${USERS[@]}"; do
			echo "$name $(id -u "$name")"
		done
		echo "subids $SUBIDS"
	} >"$record"
}

# Ends what our users still run, virtual machines' subordinate uids included.
users_end_processes() {
	local name first

	for name in "${USERS[@]}"; do
		user_is_ours "$name" || continue
		uid_end_processes "$(id -u "$name")" "$(id -u "$name")"
	done
	if user_is_ours hypeman; then
		first=$(awk -F: '$1 == "hypeman" { print $2; exit }' /etc/subuid)
		[[ ! $first ]] || uid_end_processes "$first" $((first + 131071))
	fi
}

# uid_end_processes FIRST LAST
uid_end_processes() {
	local pids

	# Not the owner of /proc/PID: that is root for a process that may not be traced.
	mapfile -t pids < <(awk -v first="$1" -v last="$2" '
		/^Uid:/ && $2 >= first && $2 <= last { split(FILENAME, part, "/"); print part[3] }' \
		/proc/[0-9]*/status 2>/dev/null)
	((${#pids[@]} == 0)) || kill -KILL "${pids[@]}" 2>/dev/null || true
}

users_remove() {
	local name

	for name in "${USERS[@]}"; do
		! user_is_ours "$name" || userdel "$name" || true
	done
	((${#USERS_BACKUPS_NEW[@]} == 0)) || rm -f "${USERS_BACKUPS_NEW[@]}"
	USERS_BACKUPS_NEW=()
}
USERS_BACKUPS_NEW=()
