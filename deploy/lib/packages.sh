# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Debian packages: which of a list are missing, and how to get them. Sourced.
#
PACKAGES_BEFORE=
POLICY_RC_D=/usr/sbin/policy-rc.d
POLICY_MARK="# hypeman: keeps services from starting while packages are installed"

packages_installed() {
	dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' | sed -n 's/^ii *//p' | sort -u
}

# packages_missing LIST...: the packages of these lists that are needed and not there.
packages_missing() {
	local -A installed=()
	local name path

	while read -r name; do
		installed[$name]=1
	done < <(packages_installed)
	while read -r name path; do
		[[ $name && $name != \#* ]] || continue
		[[ ${installed[$name]-} || ($path && -e $path) ]] || echo "$name"
	done < <(cat -- "$@")
}

# Debian starts a service as soon as its package is installed, unless this file says no.
# One that is already there (containers often have it) is left alone.
policy_rc_d_put() {
	[[ -e $POLICY_RC_D ]] && return
	printf '#!/bin/sh\n%s\nexit 101\n' "$POLICY_MARK" >"$POLICY_RC_D"
	chmod 755 "$POLICY_RC_D"
}

policy_rc_d_remove() {
	if grep -qsF "$POLICY_MARK" "$POLICY_RC_D"; then
		rm -f "$POLICY_RC_D"
	fi
}

# apt_get ARGUMENT...: waits while another package manager works.
apt_get() {
	local log attempt

	log=$(mktemp)
	for attempt in {1..60}; do
		if DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 \
			-o Dpkg::Use-Pty=0 "$@" </dev/null >"$log" 2>&1; then
			rm -f "$log"
			return 0
		fi
		# DPkg::Lock::Timeout does not cover the lock of the package lists.
		grep -q 'Could not get lock' "$log" || break
		((attempt > 1)) || echo "waiting for another package manager to finish" >&2
		sleep 5
	done
	cat "$log" >&2
	rm -f "$log"
	return 1
}

# packages_new: what was not installed before packages_install, dependencies included.
packages_new() {
	[[ ! $PACKAGES_BEFORE ]] || comm -13 <(echo "$PACKAGES_BEFORE") <(packages_installed)
}

# A service that came with a package must not start at the next boot either.
packages_disable_services() {
	local name

	[[ -d /run/systemd/system ]] || return 0
	for name in docker-registry prometheus; do
		! packages_new | grep -qx "$name" || systemctl --quiet disable "$name.service" || true
	done
}

# packages_install LIST...: installs what packages_missing names.
packages_install() {
	local missing failed=

	mapfile -t missing < <(packages_missing "$@")
	((${#missing[@]})) || return 0
	echo "installing Debian packages: ${missing[*]}"
	PACKAGES_BEFORE=$(packages_installed)
	policy_rc_d_put
	apt_get update && apt_get install --no-install-recommends "${missing[@]}" || failed=1
	policy_rc_d_remove
	packages_disable_services
	[[ ! $failed ]]
}
