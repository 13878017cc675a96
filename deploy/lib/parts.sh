# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The parts of a running system: programs, guest, demo image, simulated GPU host, services.
# Sourced by deploy/quickstart.
#
# Under STATE: root/ (installed programs), guest/ (kernel and initramfs), gpu-host/ (mount of
# the simulated host), registry/, run/ (sockets), logs/, and a folder for each service.

# as_builder COMMAND...: as who called sudo; nothing is compiled as root for another.
as_builder() {
	if [[ ${SUDO_UID-} && $SUDO_UID != 0 ]]; then
		setpriv --reuid "$SUDO_UID" --regid "$SUDO_GID" --init-groups -- env \
			HOME="$(getent passwd "$SUDO_UID" | cut -d: -f6)" "$@"
	else
		"$@"
	fi
}

# builder_folder FOLDER: one that the builder may write.
builder_folder() {
	mkdir -p "$1"
	chown "${SUDO_UID:-0}:${SUDO_GID:-0}" "$1"
}

# Everything runs from an installed tree, which root owns and the services' users can reach,
# wherever the build is.
build_programs() {
	local prefix build=$BUILD

	if [[ ! $build ]]; then
		build=$STATE/build
		builder_folder "$build"
		step "configuring the build" as_builder cmake -S "$SOURCE" -B "$build" -G Ninja \
			-DCMAKE_BUILD_TYPE=RelWithDebInfo -DBUILD_TESTING=OFF
		step "building (a few minutes)" as_builder cmake --build "$build"
	fi
	rm -rf "$STATE/root"
	step "installing to $STATE/root" env DESTDIR="$STATE/root" cmake --install "$build"
	prefix=$(sed -n 's/^CMAKE_INSTALL_PREFIX:PATH=//p' "$build/CMakeCache.txt")
	BIN=$STATE/root$prefix/bin
	LIBEXEC=$STATE/root$prefix/libexec/hypeman
	DATA=$STATE/root$prefix/share/hypeman
	GUEST=$STATE/guest
}

# With a build of the caller's, what was fetched stays there for the next time.
make_guest() {
	local store=$GUEST

	[[ ! $BUILD ]] || store=$BUILD/guest-kernel

	step "fetching the guest kernel" fetch_guest "$store"
	[[ $store == "$GUEST" ]] || {
		rm -rf "$GUEST"
		mkdir "$GUEST"
		cp "$store/vmlinux" "$store/initramfs.cpio" "$GUEST/"
	}
	chmod 755 "$GUEST"
	chmod 644 "$GUEST/vmlinux" "$GUEST/initramfs.cpio"
}

# Old package lists name a kernel that the mirror no longer has.
fetch_guest() {
	"$LIBEXEC/fetch-guest-kernel" "$1" ||
		{ apt_get update && "$LIBEXEC/fetch-guest-kernel" "$1"; }
}

# folder_make FOLDER USER MODE
folder_make() {
	mkdir -p "$1"
	chown "$2:$2" "$1"
	chmod "$3" "$1"
}

make_folders() {
	folder_make "$STATE/run" root 0755
	folder_make "$STATE/run/gpu-agent" hypeman-gpu 0755
	folder_make "$STATE/run/instance-svc" hypeman 0755
	folder_make "$STATE/gpu-agent" hypeman-gpu 0700
	folder_make "$STATE/gpu-agent-journal" root 0700
	folder_make "$STATE/instance-svc" hypeman 0711
	folder_make "$STATE/registry" hypeman-demo 0700
	folder_make "$STATE/devices" root 0755
}

# How to become a user with no capability, and no way to one.
unprivileged() { # USER
	echo setpriv --reuid "$1" --regid "$1" --init-groups --inh-caps -all --bounding-set -all \
		--no-new-privs --
}

# Below those that the kernel gives to whoever connects.
port_pick() {
	local port

	for _ in {1..100}; do
		port=$((20000 + RANDOM % 12000))
		[[ $(port_holder "$port") ]] || break
	done
	echo "$port"
}

# A registry on loopback holds the demo image. Where the GPUs are simulated, registries.conf
# lets it stand for NVIDIA's images too.
start_demo_images() {
	local name names=(library/demo)

	! simulated || names+=(nvidia/cuda)
	REGISTRY_PORT=$(port_pick)
	cat >"$STATE/registry.yml" <<-EOT
		version: 0.1
		log: {level: warn, accesslog: {disabled: true}}
		storage: {filesystem: {rootdirectory: $STATE/registry}}
		http: {addr: "127.0.0.1:$REGISTRY_PORT"}
	EOT
	for name in "${names[@]}"; do
		cat <<-EOT
			[[registry]]
			prefix = "docker.io/$name"
			location = "127.0.0.1:$REGISTRY_PORT/demo"
			insecure = true

		EOT
	done >"$STATE/registries.conf"
	chmod 644 "$STATE/registry.yml" "$STATE/registries.conf"
	start_docker_registry
	service_wait docker-registry 20 curl -sf -o /dev/null "http://127.0.0.1:$REGISTRY_PORT/v2/"
	step "making the demo image" push_demo_image
}

start_docker_registry() {
	# shellcheck disable=SC2046 # a command of several words
	service_start docker-registry $(unprivileged hypeman-demo) \
		docker-registry serve "$STATE/registry.yml"
}

# The tags that the product document uses.
push_demo_image() {
	local tag

	rm -rf "$STATE/demo-image"
	"$DEPLOY/demo-image/build" "$STATE/demo-image" || return 1
	for tag in latest 12.4 12.4-runtime 12.4-runtime-ubuntu22.04 12.4.1-runtime-ubuntu22.04; do
		skopeo copy --insecure-policy --quiet --dest-tls-verify=false \
			"oci:$STATE/demo-image:demo" "docker://127.0.0.1:$REGISTRY_PORT/demo:$tag" || return 1
	done
	rm -rf "$STATE/demo-image"
}

start_gpu_host() {
	if [[ $SYSFS_ROOT ]]; then
		DEV_ROOT=${DEV_ROOT:-$STATE/devices}
	elif [[ $SIMULATE == none ]]; then
		SYSFS_ROOT=/sys
		DEV_ROOT=/dev
	else
		say "simulating the GPUs $SIMULATE (see $STATE/gpu-host)"
		mkdir -p "$STATE/gpu-host"
		record "mount $STATE/gpu-host"
		service_start simhost "$BIN/hypeman-simhost" --mount "$STATE/gpu-host" --spec "$SIMULATE" \
			--boards "$DATA/boards" --uevent-socket "$STATE/run/gpu-agent/uevents"
		service_wait simhost 20 grep -qx ready "$STATE/logs/simhost.log"
		SYSFS_ROOT=$STATE/gpu-host/sys
		DEV_ROOT=$STATE/gpu-host/dev
	fi
}

start_gpu_agent() {
	local uevents=()

	[[ $SIMULATE == none ]] || uevents=(--uevent-socket "$STATE/run/gpu-agent/uevents")
	service_start gpu-agent "$BIN/gpu-agent" "${uevents[@]}" \
		--socket "$STATE/run/gpu-agent/sock" \
		--state-dir "$STATE/gpu-agent" --journal-dir "$STATE/gpu-agent-journal" \
		--sysfs-root "$SYSFS_ROOT" --dev-root "$DEV_ROOT" \
		--serve-user hypeman-gpu \
		--peer instance-svc:hypeman:reader+allocator \
		--peer api-gateway:hypeman-api:reader+registrar \
		--peer operator:root:reader+admin \
		--grant-gids "$((SUBIDS + 65536))-$((SUBIDS + 131071))"
}

# In a process and a mount namespace of its own: see instance-svc-init. The limits are far
# above what a small machine has, so that the documented sizes are accepted.
start_instance_svc() {
	service_start instance-svc env HOME="$STATE/instance-svc" \
		unshare --mount --pid --fork --kill-child --mount-proc \
		"$DEPLOY/lib/instance-svc-init" "$STATE/devices" hypeman \
		"$BIN/instance-svc" \
		--socket "$STATE/run/instance-svc/sock" \
		--state-dir "$STATE/instance-svc" --run-dir "$STATE/run/instance-svc" \
		--gpu-agent-socket "$STATE/run/gpu-agent/sock" --gpu-agent-user hypeman-gpu \
		--peer api-gateway:hypeman-api:reader+operator+proxy \
		--peer operator:root:reader+operator \
		--kernel "$GUEST/vmlinux" --initramfs "$GUEST/initramfs.cpio" \
		--registries-conf "$STATE/registries.conf" \
		--cpu-oversubscription 1600 --memory-oversubscription 1600 --disk-oversubscription 1000
}

start_api_gateway() {
	# shellcheck disable=SC2046 # a command of several words
	service_start api-gateway env MALLOC_ARENA_MAX=1 $(unprivileged hypeman-api) \
		"$BIN/api-gateway" --listen "127.0.0.1:$PORT" \
		--gpu-agent-socket "$STATE/run/gpu-agent/sock" --gpu-agent-user hypeman-gpu \
		--instance-svc-socket "$STATE/run/instance-svc/sock" --instance-svc-user hypeman
}
