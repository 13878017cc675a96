# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Starting, watching and stopping what quickstart runs. Sourced by deploy/quickstart.
#
# RUNTIME/record says what must be undone when quickstart is killed: lines "pid PID STARTED
# NAME", "mount FOLDER", "state FOLDER".

declare -A SERVICE_PID=() SERVICE_BEGAN=() SERVICE_QUICK_ENDS=()

# When a process started, in clock ticks since boot: with the pid it names one process.
process_started() {
	local stat

	stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
	# The command's name, in parentheses, may hold anything.
	read -ra stat <<<"${stat##*) }"
	echo "${stat[19]}"
}

record() {
	echo "$*" >>"$RUNTIME/record"
}

# service_start NAME COMMAND...: with a session of its own, so that Ctrl-C reaches only
# quickstart, which then stops things in order.
service_start() {
	local name=$1 pid

	shift
	(cd "$STATE" && umask 077 && exec setsid "$@" </dev/null >>"$STATE/logs/$name.log" 2>&1 9>&-) &
	pid=$!
	SERVICE_PID[$name]=$pid
	SERVICE_BEGAN[$name]=$SECONDS
	record "pid $pid $(process_started "$pid" || echo 0) $name"
}

# service_wait NAME SECONDS COMMAND...: until the command succeeds; fails when the service ends.
# One that is not ready may wait for another: then all logs are shown.
service_wait() {
	local name=$1 deadline=$((SECONDS + $2)) other

	shift 2
	until "$@" 2>/dev/null; do
		if ! kill -0 "${SERVICE_PID[$name]}" 2>/dev/null; then
			service_show_log "$name"
			unset "SERVICE_PID[$name]"
			die "$name ended while it started (its log is above)"
		elif ((SECONDS >= deadline)); then
			for other in "${!SERVICE_PID[@]}"; do
				service_show_log "$other"
			done
			die "$name is not ready in time (all logs are above)"
		fi
		sleep 0.1
	done
}

service_show_log() {
	[[ ! -s $STATE/logs/$1.log ]] || sed "s/^/$1: /" <(tail -n 30 "$STATE/logs/$1.log") >&2
}

# service_stop NAME SECONDS: asks, waits, and then insists.
service_stop() {
	local pid=${SERVICE_PID[$1]-} deadline=$((SECONDS + $2))

	[[ $pid ]] || return 0
	unset "SERVICE_PID[$1]"
	kill -TERM "$pid" 2>/dev/null || true
	process_wait "$pid" "$deadline" || {
		echo "$1 does not stop; killing it" >&2
		kill -KILL "$pid" 2>/dev/null || true
	}
	service_collect "$1" "$pid"
}

# service_collect NAME PID: a service that is told to stop ends with status 0, or of the signal.
service_collect() {
	local status=0

	wait "$2" 2>/dev/null || status=$?
	if ((status != 0 && status != 143)); then
		service_show_log "$1"
		echo "$1 ended with status $status when it was stopped" >&2
	fi
}

# process_wait PID DEADLINE (in $SECONDS)
process_wait() {
	while kill -0 "$1" 2>/dev/null; do
		((SECONDS < $2)) || return 1
		sleep 0.1
	done
}

# The namespace's first process is a child of unshare, which ignores SIGTERM.
namespace_stop() {
	local pid=${SERVICE_PID[instance-svc]-} deadline=$((SECONDS + 30)) first

	[[ $pid ]] || return 0
	unset 'SERVICE_PID[instance-svc]'
	first=$(cat "/proc/$pid/task/$pid/children" 2>/dev/null) || first=
	first=${first%% *}
	[[ ! $first ]] || kill -TERM "$first" 2>/dev/null || true
	process_wait "$pid" "$deadline" || {
		echo "virtual machines do not stop; killing them" >&2
		# The kernel ends all of a namespace with its first process.
		kill -KILL "${first:-$pid}" 2>/dev/null || true
	}
	service_collect instance-svc "$pid"
}

# services_watch: starts again what ends, until a signal ends quickstart itself.
services_watch() {
	local ended name status

	while :; do
		ended=
		status=0
		wait -n -p ended "${SERVICE_PID[@]}" || status=$?
		for name in "${!SERVICE_PID[@]}"; do
			[[ ${SERVICE_PID[$name]} == "$ended" ]] && service_ended "$name" "$status"
		done
	done
}

service_ended() {
	local name=$1 status=$2

	if ((SECONDS - SERVICE_BEGAN[$name] > 5)); then
		SERVICE_QUICK_ENDS[$name]=0
	fi
	SERVICE_QUICK_ENDS[$name]=$((${SERVICE_QUICK_ENDS[$name]-0} + 1))
	unset "SERVICE_PID[$name]"
	case $name in
	simhost | instance-svc)
		service_show_log "$name"
		die "$name ended with status $status: nothing can go on without it"
		;;
	esac
	if ((SERVICE_QUICK_ENDS[$name] > 3)); then
		service_show_log "$name"
		die "$name ends with status $status each time it is started"
	fi
	echo "$name ended with status $status; starting it again"
	sleep 1
	"start_${name//-/_}"
}

# leftovers_clean: what a quickstart that was killed could not undo. Called with the lock held.
leftovers_clean() {
	local kind what started name

	if [[ -e $RUNTIME/record ]]; then
		echo "cleaning up after a quickstart that was killed"
		# The newest first: a mount goes after what was started in it.
		while read -r kind what started name; do
			case $kind in
			pid)
				[[ $(process_started "$what") != "$started" ]] || kill -KILL "$what" || true
				;;
			esac
		done < <(tac "$RUNTIME/record")
		while read -r kind what; do
			case $kind in
			mount) mount_remove "$what" ;;
			state) state_remove "$what" ;;
			esac
		done < <(tac "$RUNTIME/record")
		rm -f "$RUNTIME/record"
	fi
	users_remove
	policy_rc_d_remove
}

mount_remove() {
	! mountpoint -q "$1" || umount "$1" 2>/dev/null || umount --lazy "$1" || true
}

# Only a folder that we made, and nothing of another file system that is mounted in it.
state_remove() {
	[[ -e $1/$STATE_MARK ]] || return 0
	rm -rf --one-file-system "$1"
}
