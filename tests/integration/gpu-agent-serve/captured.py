# SPDX-License-Identifier: Apache-2.0
"""
Captures of real hosts, files captured/NAME.capture. A line each:

  gpu ADDRESS VENDOR:DEVICE CLASS DRIVER FUNCTIONS GROUP
                      what every PCI function has, for a GPU and its virtual functions, whose
                      IOMMU groups count from GROUP
                      DRIVER is - where none is bound; the virtual functions follow the GPU from
                      .4 on
  functions ADDRESS...
                      the virtual functions, where they lie elsewhere
  simulate SPEC       the simulated host that must show the same...
  control LINE        ...once this was written to its control file
  file PATH "TEXT"    the contents, as a JSON string
  link PATH TARGET    .../ begins a target whose way there was not captured
  dir PATH            there, its contents are not known
  writeonly PATH      a file of mode 0200
  unreadable PATH ERR an empty copy of a file that answers ERR when it is read
  absent PATH         not there
  vendor ID           for the agent's setting device-vendor
  expect ...          what the agent must say

A PATH begins with a function's address, or with "vfs" for all virtual functions; "*" stands for
every folder of types that was named before. Later lines win. A line with a + before it is needed
for a whole host but was not captured, and is not compared with the simulation.
"""

import errno
import json
import os
import re
import stat

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Entry:
    def __init__(self, kind, value, captured):
        self.kind, self.value, self.captured = kind, value, captured


class Capture:
    def __init__(self, path):
        self.name = os.path.basename(path).removesuffix(".capture")
        self.spec, self.controls, self.vendors, self.expected = None, [], ["10de"], []
        self.gpu, self.functions = {}, []
        self.entries = {}  # by "ADDRESS/REST"
        with open(path) as file:
            for line in file:
                if line.strip() and not line.startswith("#"):
                    self.take(line.rstrip("\n"))

    def take(self, line):
        captured = not line.startswith("+ ")
        word, rest = line.removeprefix("+ ").split(" ", 1)
        if word == "gpu":
            self.take_gpu(*rest.split())
        elif word == "functions":
            self.functions = rest.split()
        elif word == "simulate":
            self.spec = rest
        elif word == "control":
            self.controls.append(rest)
        elif word == "vendor":
            self.vendors.append(rest)
        elif word == "expect":
            self.expected.append(rest)
        else:
            path, _, value = rest.partition(" ")
            if word == "file":
                value = json.loads(value)
            for one in self.paths(path):
                self.entries[one] = Entry(word, value, captured)

    def take_gpu(self, address, ids, code, driver, count, group):
        self.gpu = {"address": address, "ids": ids.split(":"), "class": code, "driver": driver,
                    "group": int(group)}
        base, slot = address[:-4], int(address[-4:-2], 16)
        self.functions = [f"{base}{slot + (4 + i) // 8:02x}.{(4 + i) % 8}"
                          for i in range(int(count))]

    def paths(self, path):
        first, _, rest = path.partition("/")
        for function in self.functions if first == "vfs" else [first]:
            if "*" not in rest:
                yield f"{function}/{rest}"
                continue
            before, after = f"{function}/{rest}".split("*")
            types = {known.removeprefix(before).split("/")[0] for known in self.entries
                     if known.startswith(before)}
            yield from (before + name + after for name in types)

    # ---- as a tree

    def lay_out(self, root):
        """Writes sys/ and dev/ below root."""
        os.makedirs(f"{root}/dev/vfio")
        for number, address in enumerate([self.gpu["address"], *self.functions]):
            self.lay_out_function(f"{root}/sys", number, address)
        for path, entry in self.entries.items():
            self.lay_out_entry(f"{root}/sys", path, entry)

    def home(self, sys, address):
        return f"{sys}/devices/pci{address[:7]}/{address}"

    def lay_out_function(self, sys, number, address):
        home, gpu = self.home(sys, address), self.gpu
        put(f"{home}/vendor", f"0x{gpu['ids'][0]}\n")
        put(f"{home}/device", f"0x{gpu['ids'][1]}\n")
        put(f"{home}/class", f"0x{gpu['class']}\n")
        for name in ("subsystem_vendor", "subsystem_device"):
            put(f"{home}/{name}", "0x0000\n")
        put(f"{home}/numa_node", "-1\n")
        link(f"{sys}/bus/pci/devices/{address}", home)
        if gpu["driver"] != "-":
            link(f"{home}/driver", f"{sys}/bus/pci/drivers/{gpu['driver']}")
        self.set_group(sys, home, address, gpu["group"] + number)
        if number > 0:
            link(f"{home}/physfn", self.home(sys, gpu["address"]))
            link(f"{self.home(sys, gpu['address'])}/virtfn{number - 1}", home)
        elif self.functions:
            put(f"{home}/sriov_totalvfs", f"{len(self.functions)}\n")
            put(f"{home}/sriov_numvfs", f"{len(self.functions)}\n")

    @staticmethod
    def set_group(sys, home, name, number):
        link(f"{home}/iommu_group", f"{sys}/kernel/iommu_groups/{number}")
        link(f"{sys}/kernel/iommu_groups/{number}/devices/{name}", home)

    def lay_out_entry(self, sys, path, entry):
        address, _, rest = path.partition("/")
        place = f"{self.home(sys, address)}/{rest}"
        if entry.kind == "link":
            if rest.endswith("iommu_group"):
                self.set_group(sys, os.path.dirname(place), path.split("/")[-2],
                               int(os.path.basename(entry.value)))
            elif entry.value.startswith(".../"):
                link(place, f"{sys}/{entry.value.removeprefix('.../')}")
            else:
                link(place, os.path.join(os.path.dirname(place), entry.value))
            if UUID.fullmatch(rest.split("/")[0]):
                link(f"{sys}/bus/mdev/devices/{rest.split('/')[0]}", os.path.dirname(place))
        elif entry.kind == "dir":
            os.makedirs(place, exist_ok=True)
        elif entry.kind != "absent":
            put(place, entry.value if entry.kind == "file" else "",
                0o200 if entry.kind == "writeonly" else 0o644)

    # ---- beside the simulation

    def differences(self, sys):
        """How the tree at sys differs from what was captured."""
        found = []
        for path, entry in self.entries.items():
            said = self.difference(f"{sys}/bus/pci/devices/{path}", entry) if entry.captured else ""
            if said:
                found.append(f"{path}: {said}")
        return found

    @staticmethod
    def difference(path, entry):
        try:
            mode = os.lstat(path).st_mode
        except FileNotFoundError:
            return "" if entry.kind == "absent" else "is not there"
        kind = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link"}[stat.S_IFMT(mode)]
        if kind != ("file" if entry.kind in ("writeonly", "unreadable") else entry.kind):
            return f"is a {kind}, not a {entry.kind}"
        if entry.kind == "writeonly":
            return "" if stat.S_IMODE(mode) == 0o200 else f"has mode {stat.S_IMODE(mode):o}"
        if entry.kind == "link":
            return compare_link(path, entry.value)
        if entry.kind == "dir":
            return ""
        try:
            with open(path) as file:
                said = file.read()
        except OSError as error:
            said = errno.errorcode[error.errno]
        return "" if said == entry.value else f"says {said!r}, not {entry.value!r}"

    def count(self):
        return sum(entry.captured for entry in self.entries.values())


def put(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, mode)


def link(path, target):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.makedirs(target, exist_ok=True)
    if os.path.islink(path):
        os.unlink(path)
    os.symlink(os.path.relpath(target, os.path.dirname(path)), path)


def compare_link(path, captured):
    """The numbers of IOMMU groups are the kernel's choice, on each host anew."""
    target = os.readlink(path)
    if captured.startswith(".../kernel/iommu_groups/"):
        same = re.fullmatch(r"(\.\./)+kernel/iommu_groups/\d+", target)
    elif captured.startswith(".../"):
        same = target.endswith(captured.removeprefix("..."))
    else:
        same = target == captured
    return "" if same else f"leads to {target}, not {captured}"
