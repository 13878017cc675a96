# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What this machine must be able to do. Sourced by deploy/quickstart. Each check names what
# is missing and how to get it; all of them run before anything is changed.

CHECK_FAILURES=0

check_fail() { # WHAT FIX
	echo "missing: $1" >&2
	echo "    fix: $2" >&2
	CHECK_FAILURES=$((CHECK_FAILURES + 1))
}

in_container() {
	[[ -e /.dockerenv || -e /run/.containerenv ]] || grep -qs 'container=' /proc/1/environ
}

# The fix for a right that a container was not given, else the one for a host.
fix_for() { # IN-CONTAINER ON-HOST
	if in_container; then
		echo "start the container with $1"
	else
		echo "$2"
	fi
}

check_system() {
	local id version

	id=$(. /etc/os-release 2>/dev/null && echo "${ID-} ${ID_LIKE-}") || id=
	version=$(. /etc/os-release 2>/dev/null && echo "${PRETTY_NAME-}") || version=
	[[ $(uname -m) == x86_64 ]] ||
		check_fail "an x86-64 machine (this is $(uname -m))" "use one"
	if ! command -v apt-get >/dev/null || [[ $id != *debian* ]]; then
		check_fail "Debian or one of its kind (this is '${version:-unknown}')" \
			"use Debian 12, or install what deploy/packages.txt lists and build with CMake"
	fi
}

check_mounts() {
	unshare --mount true 2>/dev/null ||
		check_fail "the right to mount file systems" \
			"$(fix_for "--privileged" "run as root, outside a restricted shell")"
}

check_user_namespaces() {
	local sysctl

	setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set -all -- \
		unshare --user --map-root-user --mount true 2>/dev/null && return
	for sysctl in user.max_user_namespaces=16384 kernel.unprivileged_userns_clone=1 \
		kernel.apparmor_restrict_unprivileged_userns=0; do
		local name=${sysctl%=*} want=${sysctl#*=} file now

		file=/proc/sys/${name//.//}
		[[ -r $file ]] || continue
		now=$(<"$file")
		if [[ $want == 0 && $now != 0 || $want != 0 && $now == 0 ]]; then
			check_fail "user namespaces for ordinary users ($name is $now)" "sysctl -w $sysctl"
			return
		fi
	done
	check_fail "user namespaces for ordinary users" \
		"$(fix_for "--privileged, or --security-opt seccomp=unconfined" "allow them in the kernel")"
}

# check_node PATH MODULE: a device that must exist and answer.
check_node() {
	if [[ ! -c $1 ]]; then
		check_fail "$1" "$(fix_for "--device $1" "modprobe $2")"
	elif ! (exec 8<>"$1") 2>/dev/null; then
		check_fail "a $1 that opens" "$(fix_for "--device $1" "modprobe $2")"
	fi
}

# Prints "PID (COMMAND)" of who listens on a TCP port, nothing when nobody does.
port_holder() {
	local hex inode link pid

	printf -v hex ':%04X' "$1"
	inode=$(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
		awk -v port="$hex" '$4 == "0A" && $2 ~ port "$" { print $10; exit }')
	[[ $inode ]] || return 0
	for link in /proc/[0-9]*/fd/*; do
		if [[ $(readlink "$link" 2>/dev/null) == "socket:[$inode]" ]]; then
			pid=${link#/proc/}
			pid=${pid%%/*}
			echo "process $pid ($(<"/proc/$pid/comm"))"
			return
		fi
	done
	echo "a process outside this container"
}

check_port() {
	local holder

	holder=$(port_holder "$1")
	[[ ! $holder ]] || check_fail "TCP port $1: $holder listens there" "stop it, or use --port N"
}

# check_space FOLDER MEGABYTES
check_space() {
	local free

	free=$(df -Pm "$1" | awk 'NR == 2 { print $4 }')
	((free >= $2)) || check_fail "$2 MB of disk space in $1 (there are $free)" \
		"free some, or use --state DIR on a larger disk"
}

# Other users must be able to reach the folder that holds programs, sockets and disks.
check_reachable() {
	setpriv --reuid 65534 --regid 65534 --clear-groups test -x "$1" 2>/dev/null ||
		check_fail "a folder that other users may enter ($1 is not)" \
			"use --state DIR with one like /var/tmp/hypeman"
}
