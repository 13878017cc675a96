# SPDX-License-Identifier: Apache-2.0
"""What the cases of the test host share: results, the REST API, and the kernel's own files."""

import filecmp
import json
import os
import shutil
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request

URL = "http://127.0.0.1:8080"
PCI = "/sys/bus/pci/devices/"
MDEVS = "/sys/bus/mdev/devices/"
MDEV_GPU = "0000:81:00.0"
VENDOR_GPU = "0000:82:00.0"
WHOLE_GPUS = ("0000:84:00.0", "0001:c8:00.0")

GUESTS = "/host/artefacts/guest/"
# Linux in a machine in a machine takes its time.
VIEWING_GUEST = "look" if os.path.exists("/host/output/short") else "linux"

HERE = os.path.dirname(os.path.abspath(__file__))
AGENT_SOCKET = "/run/hypeman/gpu-agent/sock"
FAULTS = "/sys/module/test_vgpu/parameters/"

# What takes a second on an idle machine can take a hundred on a busy one. Waiting that long
# costs nothing but when something is wrong.
PATIENCE_S = 240

failures = 0


def check(condition, sentence, detail=""):
    """One line of the report; what is wrong follows, indented."""
    global failures
    print(("ok - " if condition else "not ok - ") + sentence, flush=True)
    if not condition:
        failures += 1
        for line in str(detail).splitlines()[-100:]:
            print("    " + line, flush=True)
    return condition


def finish():
    sys.exit(1 if failures else 0)


def show(sentence):
    """What the kernel's own files say, for whoever reads the report."""
    print("# " + sentence, flush=True)


def show_files(step, base, *names):
    """Files of the kernel's at one step of a device's life."""
    for name in names:
        path = base + "/" + name
        target = link(path)
        text = read(path) if not target and not os.path.isdir(path) else None
        show("%s: %s %s" % (step, path, "-> " + target if target else
                            "is there" if os.path.isdir(path) else
                            "is not there" if text is None else "= " + (text.replace("\n", " | ") or "(empty)")))


def show_node(step, path):
    """Whose a device node is."""
    try:
        info = os.stat(path)
        show("%s: %s is %s %d:%d" % (step, path, stat.filemode(info.st_mode), info.st_uid, info.st_gid))
    except FileNotFoundError:
        show("%s: %s is not there" % (step, path))


def show_guest(name):
    """What the guest itself says of NVIDIA's functions."""
    for line in log(name).splitlines():
        if " 10de:" in line:
            show("the guest: " + line.strip())


def api(method, path, body=None, timeout=PATIENCE_S):
    """(status, decoded body or None)"""
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(URL + path, data=data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


def gpu():
    """What GET /resources says of the GPUs: of none, while gpu-agent is not there."""
    status, answer = api("GET", "/resources")
    none = {"mode": None, "total_slots": None, "used_slots": None, "profiles": []}
    return answer.get("gpu") or none if status == 200 else none


def available(profile):
    return next((p["available"] for p in gpu()["profiles"] if p["name"] == profile), None)


def read(path):
    """The text of a file of the kernel's, without the end of its line; None: not there."""
    try:
        with open(path, encoding="ascii") as file:
            return file.read().rstrip("\n")
    except FileNotFoundError:
        return None


def write(path, text):
    """0 or the errno of one write(2)."""
    try:
        file = os.open(path, os.O_WRONLY)
    except OSError as error:
        return error.errno
    try:
        os.write(file, text.encode())
        return 0
    except OSError as error:
        return error.errno
    finally:
        os.close(file)


def link(path):
    """The last part of where a link points to; None: no link."""
    try:
        return os.path.basename(os.readlink(path))
    except OSError:
        return None


def node(device):
    """/dev/vfio/N of a device, None without a group."""
    group = link(device + "/iommu_group")
    return "/dev/vfio/" + group if group else None


def wait_until(condition, seconds=PATIENCE_S, every=0.5):
    """The first true value, or the last false one."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(every)


def state(name):
    return (api("GET", "/instances/" + name)[1] or {}).get("state")


def log(name, source="app"):
    """The lines of a log, as text."""
    path = "/instances/%s/logs?source=%s&tail=10000" % (name, source)
    with urllib.request.urlopen(URL + path, timeout=PATIENCE_S) as answer:
        lines = answer.read().decode().splitlines()
    return "\n".join(json.loads(line[6:]) for line in lines if line.startswith("data: "))


def command(*words, timeout=PATIENCE_S):
    """(status, output)"""
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=timeout, check=False)
    return done.returncode, done.stdout


def journal(lines=60):
    return command("journalctl", "--no-pager", "--lines=%d" % lines, "--output=short", "--unit=hypeman-*")[1]


def use_guest(name):
    """What instances boot that are created from here on: a folder of /host/artefacts/guest."""
    installed = "/var/lib/hypeman/guest/"
    if filecmp.cmp(GUESTS + name + "/vmlinux", installed + "vmlinux"):
        return
    for file in ("vmlinux", "initramfs.cpio"):
        shutil.copy2(GUESTS + name + "/" + file, installed + file)
    command("systemctl", "restart", "hypeman-instance-svc")
    check(wait_until(is_healthy), "from here on instances boot the guest '%s'" % name, journal())


def is_healthy():
    try:
        return api("GET", "/health", timeout=5)[0] == 200
    except OSError:
        return False


def service_pid(name):
    return int(command("systemctl", "show", "--property=MainPID", "--value", name)[1])


def machine_pids():
    """The QEMU processes of this host."""
    return [int(pid) for pid in command("pgrep", "-x", "qemu-system-x86")[1].split()]


def guest_log_has(name, text):
    """A nested guest is emulated twice: what takes a second elsewhere takes it half a minute."""
    wait_until(lambda: text in log(name) or state(name) == "Stopped", 4 * PATIENCE_S, 1)
    return text in log(name)


def all_logs(name):
    """What is known of an instance when something went wrong."""
    parts = ["%s: %s" % (source, log(name, source)) for source in ("app", "vmm", "hypeman")]
    return "\n".join(parts + [json.dumps(api("GET", "/instances/" + name)[1])])


def start_instance(name, guest="look", **fields):
    """Creates a small instance of the demo image and waits until it runs: the answer to POST."""
    use_guest(guest)
    body = {"name": name, "image": "demo", "size": "256MB", "vcpus": 1, "overlay_size": "64MB"}
    status, answer = api("POST", "/instances", {**body, **fields})
    check(status == 201, "POST /instances answers 201 (%s)" % name, answer)
    if status != 201:
        return None
    wait_until(lambda: state(name) not in ("Created", "Initializing"))
    check(state(name) == "Running", "%s runs" % name, json.dumps(api("GET", "/instances/" + name)[1]) + journal())
    return answer


def delete_instance(name):
    status, answer = api("DELETE", "/instances/" + name)
    check(status == 204, "DELETE answers 204 (%s)" % name, answer)


def agent():
    """A client of gpu-agent, as root, who is operator and allocator here."""
    sys.path.insert(0, os.path.join(HERE, "../integration/gpu-agent-serve"))
    from agent import Client

    class PatientClient(Client):
        def call(self, method, request=None, timeout=None):
            return super().call(method, request, timeout=PATIENCE_S)

    return PatientClient(AGENT_SOCKET, "/host/artefacts/stubs")


def type_folder(function, profile):
    """mdev_supported_types/nvidia-N of a profile ("L40S-4Q") on a function."""
    base = PCI + function + "/mdev_supported_types/"
    for name in os.listdir(base):
        if read(base + name + "/name") == "NVIDIA " + profile:
            return base + name + "/"
    raise LookupError(profile)


def functions_of(gpu_address):
    """Addresses of a GPU's virtual functions, in order."""
    base = PCI + gpu_address
    count = int(read(base + "/sriov_numvfs"))
    return [link("%s/virtfn%d" % (base, index)) for index in range(count)]


def mdevs():
    return set(os.listdir(MDEVS))


def vm_gid():
    """A group that the agent may grant nodes to: the first that root allowed."""
    with open("/usr/local/etc/hypeman/gpu-agent.conf", encoding="ascii") as file:
        for line in file:
            if line.startswith("grant-gids"):
                return int(line.split("=")[1].strip().split("-")[0])
    raise LookupError("grant-gids")
