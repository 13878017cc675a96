# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by the tests of the installation. They run in a mount namespace of their own, in
# which the installed files lie over the machine's: nothing outside it sees them.

SOURCE=$(dirname "$(dirname "$(dirname "$(dirname "$(readlink -f "$0")")")")")
BUILD=${1:?the build folder}
FAILED=

ok() {
	echo "ok - $*"
}

not_ok() {
	echo "not ok - $*"
	FAILED=1
}

# check SENTENCE COMMAND...: what the command says is shown when it fails.
check() {
	local sentence=$1 output

	shift
	if output=$("$@" 2>&1); then
		ok "$sentence"
	else
		not_ok "$sentence"
		sed 's/^/    /' <<<"$output"
	fi
}

finish() {
	[[ ! $FAILED ]]
	exit
}

# The rest of the script runs again inside the namespace.
enter_namespace() {
	[[ ${IN_NAMESPACE-} ]] ||
		IN_NAMESPACE=1 exec unshare --mount --propagation private -- "$0" "$@"
}

# Installs into $DEST, and shows PREFIX, /etc, /run and /var/lib as they would be with it.
install_here() {
	WORK=$(mktemp -d)
	trap 'umount -l "$WORK" 2>/dev/null; rmdir "$WORK"' EXIT
	mount -t tmpfs tmpfs "$WORK"
	DEST=$WORK/dest
	PREFIX=$(sed -n 's/^CMAKE_INSTALL_PREFIX:PATH=//p' "$BUILD/CMakeCache.txt")
	DESTDIR=$DEST cmake --install "$BUILD" >"$WORK/install.log" || {
		cat "$WORK/install.log"
		not_ok "cmake --install succeeds"
		finish
	}
}

# lay_over FOLDER: what was installed below it, over what is there, writable.
lay_over() {
	local name=${1//\//-}

	mkdir -p "$DEST$1" "$WORK/up$name" "$WORK/work$name"
	mount -t overlay overlay \
		-o "lowerdir=$1,upperdir=$DEST$1,workdir=$WORK/work$name" "$1"
}
