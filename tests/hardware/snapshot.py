# SPDX-License-Identifier: Apache-2.0
"""What a host's /sys says of its GPUs: read, never written."""

import errno
import json
import os

# Of a PCI function. Others count events, or wake what sleeps.
FILES = ("vendor", "device", "subsystem_vendor", "subsystem_device", "class", "revision",
         "numa_node", "boot_vga", "driver_override", "reset_method", "sriov_totalvfs",
         "sriov_numvfs", "sriov_drivers_autoprobe")
LINKS = ("driver", "iommu_group", "physfn")
TYPE_FILES = ("name", "description", "device_api", "available_instances")
GPU_CLASSES = ("0x03", "0x12")


def read(path):
    """The text, or "!EIO" for the error it gives."""
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except OSError as error:
        return "!" + errno.errorcode[error.errno]


def listed(path):
    try:
        return sorted(os.listdir(path))
    except OSError:
        return []


class Function:
    """One PCI function."""

    def __init__(self, sys, address):
        self.address, self.home = address, f"{sys}/bus/pci/devices/{address}"
        self.entries = {}  # by path in its folder: ("file", text), ("link", target)
        for name in FILES:
            self.take_file(name)
        for name in LINKS:
            self.take_link(name)
        self.take_vendor()
        self.take_types()
        self.take_vgpus()

    def take_file(self, path):
        full = f"{self.home}/{path}"
        if not os.path.lexists(full):
            return
        if not os.stat(full).st_mode & 0o444:
            self.entries[path] = ("writeonly", "")
            return
        self.entries[path] = ("file", read(full))

    def take_link(self, path):
        full = f"{self.home}/{path}"
        if os.path.islink(full):
            self.entries[path] = ("link", os.path.basename(os.readlink(full)))

    def take_vendor(self):
        for name in listed(f"{self.home}/nvidia"):
            self.take_file(f"nvidia/{name}")

    def take_types(self):
        for name in listed(f"{self.home}/mdev_supported_types"):
            for file in (*TYPE_FILES, "create"):
                self.take_file(f"mdev_supported_types/{name}/{file}")

    def take_vgpus(self):
        for name in listed(self.home):
            if len(name) == 36 and os.path.islink(f"{self.home}/{name}/mdev_type"):
                for link in ("mdev_type", "driver", "iommu_group"):
                    self.take_link(f"{name}/{link}")

    def text(self, path):
        return self.entries.get(path, ("", ""))[1].strip()

    def is_gpu(self, vendors):
        return (self.text("vendor").removeprefix("0x") in vendors and
                self.text("class")[:4] in GPU_CLASSES and "physfn" not in self.entries)

    def virtual_functions(self):
        names = [name for name in listed(self.home) if name.startswith("virtfn")]
        return [os.path.basename(os.readlink(f"{self.home}/{name}"))
                for name in sorted(names, key=lambda name: int(name[6:]))]

    def vgpus(self):
        """How many it carries."""
        kinds = {path.split("/")[0] for path in self.entries if path.endswith("/mdev_type")}
        return len(kinds) + (self.text("nvidia/current_vgpu_type") not in ("", "0") and
                             not self.text("nvidia/current_vgpu_type").startswith("!"))


class Gpu:
    """A physical function with its virtual functions and the rest of its IOMMU group."""

    def __init__(self, sys, function):
        self.physical = function
        self.virtual = [Function(sys, address) for address in function.virtual_functions()]
        group = listed(f"{function.home}/iommu_group/devices")
        self.beside = [Function(sys, address) for address in group
                       if address not in (function.address, *function.virtual_functions())]

    def functions(self):
        return [self.physical, *self.virtual, *self.beside]

    def capture(self, expected):
        """The text of a capture; its form is in gpu-agent-serve/captured.py. `expected`: what
        gpu-agent says."""
        gpu, lines = self.physical, []
        ids = "{}:{}".format(*(gpu.text(n).removeprefix("0x") for n in ("vendor", "device")))
        lines.append(f"gpu {gpu.address} {ids} {gpu.text('class').removeprefix('0x')} "
                     f"{gpu.text('driver') or '-'} {len(self.virtual)} 0")
        if self.virtual:
            lines.append("functions " + " ".join(f.address for f in self.virtual))
        for function in (gpu, *self.virtual):
            lines += [line.replace("@", function.address, 1) for line in entry_lines(function)
                      if line not in self.common()]
        lines += [line.replace("@", "vfs", 1) for line in self.common()]
        return "\n".join(lines + [""] + [f"expect {line}" for line in expected]) + "\n"

    def common(self):
        """What every virtual function says alike, as lines."""
        if not self.virtual:
            return []
        first, *others = (entry_lines(function) for function in self.virtual)
        others = [set(lines) for lines in others]
        return [line for line in first if all(line in lines for lines in others)]


def entry_lines(function):
    """With @ for the address."""
    lines = []
    for path, (kind, value) in function.entries.items():
        if kind == "link" and path != "physfn":
            lines.append(f"link @/{path} {link_target(path, value)}")
        elif kind == "writeonly":
            lines.append(f"writeonly @/{path}")
        elif kind == "file" and value.startswith("!"):
            lines.append(f"unreadable @/{path} {value[1:]}")
        elif kind == "file":
            lines.append(f"file @/{path} {json.dumps(value)}")
    return lines


def link_target(path, value):
    name = path.rsplit("/", 1)[-1]
    if name == "iommu_group":
        return f".../kernel/iommu_groups/{value}"
    if name == "mdev_type":
        return f"../mdev_supported_types/{value}"
    return f".../bus/{'mdev' if '/' in path else 'pci'}/drivers/{value}"


class Snapshot:
    def __init__(self, sys, vendors):
        functions = [Function(sys, address) for address in listed(f"{sys}/bus/pci/devices")]
        self.gpus = [Gpu(sys, function) for function in functions if function.is_gpu(vendors)]

    def find(self, address):
        return next((gpu for gpu in self.gpus if gpu.physical.address == address), None)

    def differences(self, later):
        """What is not as it was, a line each."""
        before, after = self.flat(), later.flat()
        return [f"{path}: {before.get(path)} became {after.get(path)}"
                for path in sorted(before.keys() | after.keys())
                if before.get(path) != after.get(path)]

    def flat(self):
        return {f"{function.address}/{path}": entry for gpu in self.gpus
                for function in gpu.functions() for path, entry in function.entries.items()}
