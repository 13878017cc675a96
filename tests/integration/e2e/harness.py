# SPDX-License-Identifier: Apache-2.0
"""Runs deploy/quickstart for a test, and looks at what it runs."""

import json
import os
import pwd
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from ports import free_port

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
USERS = ["hypeman-gpu", "hypeman", "hypeman-api", "hypeman-demo"]
failures = 0


def check(condition, sentence, *details):
    """Prints one result; details are shown when it is a failure."""
    global failures
    print(("ok" if condition else "not ok") + " - " + sentence, flush=True)
    if not condition:
        failures += 1
        for detail in details:
            for line in str(detail).splitlines() or ["(empty)"]:
                print("    " + line, flush=True)
    return condition


def finish():
    sys.exit(1 if failures else 0)


def wait_until(condition, seconds):
    """The first true value of condition(), or its last one."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(0.1)


def read(path):
    with open(path, "rb") as file:
        return file.read().decode(errors="replace")


class Process:
    """A process of this machine, by pid."""

    def __init__(self, pid):
        self.pid = pid
        status = read(f"/proc/{pid}/status")
        self.status = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        self.name = self.status["Name"]
        self.uids = [int(uid) for uid in self.status["Uid"].split()]
        self.arguments = read(f"/proc/{pid}/cmdline").split("\0")
        self.started = self.read_started()

    def read_started(self):
        return read(f"/proc/{self.pid}/stat").rsplit(") ", 1)[1].split()[19]

    def alive(self):
        try:
            return self.read_started() == self.started
        except OSError:
            return False

    def capabilities(self):
        """The sets that give a process rights, or'ed."""
        return int(self.status["CapEff"], 16) | int(self.status["CapPrm"], 16) | \
            int(self.status["CapInh"], 16) | int(self.status["CapAmb"], 16)


def processes(wanted=lambda process: True):
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            process = Process(int(entry))
        except (OSError, KeyError):
            continue
        if process.status.get("State", "Z")[0] != "Z" and wanted(process):
            found.append(process)
    return found


def traces():
    """What quickstart could leave on this machine."""
    found = {"mount " + line.split()[1] for line in read("/proc/self/mounts").splitlines()
             if "/hypeman." in line.split()[1]}
    for file in "/etc/passwd", "/etc/group", "/etc/subuid", "/etc/subgid":
        if os.path.exists(file):
            found |= {f"{file}: {line}" for line in read(file).splitlines() if line.startswith("hypeman")}
    found |= {"file " + os.path.join(folder, name) for folder in ("/run", "/var/tmp", "/usr/sbin")
              if os.path.isdir(folder) for name in os.listdir(folder)
              if "hypeman" in name or name == "policy-rc.d"}
    found |= {"file /etc/" + name for name in os.listdir("/etc")}
    found |= {f"process {process.pid} {' '.join(process.arguments)[:100]}"
              for process in processes(lambda process: "/hypeman." in " ".join(process.arguments))}
    return found


def clear_killed(build):
    """What a quickstart left that was killed, the next one removes: before a test takes its
    traces(), that one must have been."""
    if os.path.exists("/run/hypeman-quickstart"):
        Quickstart(build).stop()


class Quickstart:
    """deploy/quickstart on a free port; use as a context. prefix: a command that executes it."""

    def __init__(self, build, *options, prefix=()):
        self.prefix = prefix
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        # There can be one at a time, and a developer's may just be ending.
        for _ in range(30):
            self.start(build, *options)
            if "another quickstart runs" not in self.output():
                break
            time.sleep(2)
        if "Ctrl-C stops" not in self.output():
            check(False, "quickstart brings the system up", self.output())
            self.stop()
            finish()
        self.state = re.search(r"logs: (\S+)/logs\)", self.output()).group(1)

    def start(self, build, *options):
        self.output_file = tempfile.NamedTemporaryFile()
        # This may have been started with SIGINT ignored, which a shell could not undo.
        self.process = subprocess.Popen(
            [*self.prefix, ROOT + "/deploy/quickstart", "--build", build, "--port", str(self.port),
             *options],
            stdin=subprocess.DEVNULL, stdout=self.output_file, stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        wait_until(lambda: "Ctrl-C stops" in self.output() or self.process.poll() is not None, 120)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if self.process.poll() is None:
            if failures or kind:
                self.show_logs()
            self.stop()

    def output(self):
        return read(self.output_file.name)

    def processes(self):
        """What quickstart started, and what that started."""
        every = processes()
        ours = {self.process.pid}
        while True:
            more = {process.pid for process in every if int(process.status["PPid"]) in ours} - ours
            if not more:
                return [process for process in every if process.pid in ours]
            ours |= more

    def processes_of(self, program):
        """Those that execute a file of this name."""
        return [process for process in self.processes()
                if os.path.basename(process.arguments[0]) == program]

    def machines(self):
        """QEMU processes."""
        return self.processes_of("qemu-system-x86_64")

    def show_logs(self):
        for name in "simhost.log", "gpu-agent.log", "instance-svc.log", "api-gateway.log":
            if not os.path.exists(f"{self.state}/logs/{name}"):
                continue
            lines = read(f"{self.state}/logs/{name}").splitlines()[-40:]
            print("".join(f"# {name}: {line}\n" for line in lines), end="", flush=True)

    def stop(self, how=signal.SIGINT):
        """Ctrl-C; returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(90)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None

    def request(self, method, path, body=None, headers=None):
        """(status, decoded JSON or None)."""
        request = urllib.request.Request(self.url + path, method=method, headers=headers or {},
                                         data=None if body is None else json.dumps(body).encode())
        if body is not None and not headers:
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            try:
                return error.code, json.loads(text)
            except ValueError:
                return error.code, text
        except OSError as error:
            return 0, str(error)

    def get(self, path):
        return self.request("GET", path)[1]

    def gpu(self):
        return self.get("/resources")["gpu"]

    def available(self, *names):
        profiles = {profile["name"]: profile["available"] for profile in self.gpu()["profiles"]}
        return tuple(profiles.get(name) for name in names)

    def wait_state(self, instance, *states, seconds=90):
        """The instance once it is in one of these states, or as it is at the end."""
        wait_until(lambda: (self.get("/instances/" + instance) or {}).get("state") in states, seconds)
        return self.get("/instances/" + instance)

    def log(self, instance, source="app"):
        """The lines of a log, from its server-sent events."""
        with urllib.request.urlopen(f"{self.url}/instances/{instance}/logs?source={source}&tail=1000",
                                    timeout=30) as answer:
            events = answer.read().decode(errors="replace").splitlines()
        return [json.loads(event[len("data: "):]) for event in events if event.startswith("data: ")]

    def wait_log(self, instance, text, seconds=90):
        """The app log once it holds the text, or as it is at the end."""
        wait_until(lambda: any(text in line for line in self.log(instance)), seconds)
        return self.log(instance)

    def mdevs(self):
        """UUIDs that the simulated host has."""
        return sorted(os.listdir(self.state + "/gpu-host/sys/bus/mdev/devices"))

    def as_user(self, user, *command):
        """Runs a command as one of the services' users; returns (status, output)."""
        who = pwd.getpwnam(user)
        done = subprocess.run(["setpriv", "--reuid", str(who.pw_uid), "--regid", str(who.pw_gid),
                               "--clear-groups", *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=60, cwd="/")
        return done.returncode, done.stdout.decode(errors="replace")
