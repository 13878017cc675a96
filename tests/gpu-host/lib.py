# SPDX-License-Identifier: Apache-2.0
"""What the cases of the test host share: results, the REST API, and the kernel's own files."""

import json
import os
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

HERE = os.path.dirname(os.path.abspath(__file__))
AGENT_SOCKET = "/run/hypeman/gpu-agent/sock"
FAULTS = "/sys/module/test_vgpu/parameters/"

failures = 0


def check(condition, sentence, detail=""):
    """One line of the report; what is wrong follows, indented."""
    global failures
    print(("ok - " if condition else "not ok - ") + sentence, flush=True)
    if not condition:
        failures += 1
        for line in str(detail).splitlines()[-40:]:
            print("    " + line, flush=True)
    return condition


def finish():
    sys.exit(1 if failures else 0)


def show(sentence):
    """What the kernel's own files say, for whoever reads the report."""
    print("# " + sentence, flush=True)


def api(method, path, body=None, timeout=120):
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
    return api("GET", "/resources")[1]["gpu"]


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


def wait_until(condition, seconds, every=0.5):
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
    with urllib.request.urlopen(URL + path, timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    return "\n".join(json.loads(line[6:]) for line in lines if line.startswith("data: "))


def command(*words, timeout=120):
    """(status, output)"""
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=timeout, check=False)
    return done.returncode, done.stdout


def journal(lines=60):
    return command("journalctl", "--no-pager", "--lines=%d" % lines, "--output=short", "--unit=hypeman-*")[1]


def machine_pids():
    """The QEMU processes of this host."""
    return [int(pid) for pid in command("pgrep", "-x", "qemu-system-x86")[1].split()]


def guest_log_has(name, text, seconds=400):
    """A nested guest is emulated twice: what takes a second elsewhere takes it half a minute."""
    return wait_until(lambda: text in log(name), seconds, 2)


def all_logs(name):
    """What is known of an instance when something went wrong."""
    parts = ["%s: %s" % (source, log(name, source)) for source in ("app", "vmm", "hypeman")]
    return "\n".join(parts + [json.dumps(api("GET", "/instances/" + name)[1])])


def start_instance(name, **fields):
    """Creates a small instance of the demo image and waits until it runs: the answer to POST."""
    body = {"name": name, "image": "demo", "size": "256MB", "vcpus": 1, "overlay_size": "64MB"}
    status, answer = api("POST", "/instances", {**body, **fields})
    check(status == 201, "POST /instances answers 201 (%s)" % name, answer)
    if status != 201:
        return None
    wait_until(lambda: state(name) not in ("Created", "Initializing"), 180)
    check(state(name) == "Running", "%s runs" % name, json.dumps(api("GET", "/instances/" + name)[1]) + journal())
    return answer


def delete_instance(name):
    status, answer = api("DELETE", "/instances/" + name)
    check(status == 204, "DELETE answers 204 (%s)" % name, answer)


def agent():
    """A client of gpu-agent, as root, who is operator and allocator here."""
    sys.path.insert(0, os.path.join(HERE, "../integration/gpu-agent-serve"))
    from agent import Client

    return Client(AGENT_SOCKET, "/host/artefacts/stubs")


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
