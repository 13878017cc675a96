# SPDX-License-Identifier: Apache-2.0
"""The same probes of sysfs and /dev/vfio on a real kernel and on the simulated host.

What each probe gets on either is in probes.txt; a difference has its reason there. A host has a
GPU of each kind: MDEV_GPU, VENDOR_GPU with virtual functions, and WHOLE_GPU.
"""

import errno
import fcntl
import os
import select
import struct

MDEV_GPU = "0000:81:00.0"
VENDOR_GPU = "0000:82:00.0"
WHOLE_GPU = "0000:84:00.0"
AUDIO = "0000:84:00.1"

UUIDS = ["6b2f7a1e-4c0d-4f53-9a7e-0000000000%02d" % index for index in range(10)]
WAITS_S = 4  # a write that does not return in this time waits for somebody

# linux/vfio.h: _IO(';', 100 + n)
VFIO_SET_IOMMU = 0x3B66
VFIO_GROUP_SET_CONTAINER = 0x3B68
VFIO_GROUP_UNSET_CONTAINER = 0x3B69
VFIO_GROUP_GET_DEVICE_FD = 0x3B6A
VFIO_TYPE1_IOMMU = 1


class Pending:
    """A write that another process does, and that has not returned yet."""

    def __init__(self, pid, results):
        self.pid = pid
        self.results = results

    def outcome(self, seconds):
        if not select.select([self.results], [], [], seconds)[0]:
            return "waits"
        text = os.read(self.results, 64).decode()
        os.close(self.results)
        os.waitpid(self.pid, 0)
        return text


class Machine:
    """A host by its trees. On the real one a device is held as QEMU holds it."""

    def __init__(self, sysfs, dev, is_real):
        self.sysfs = sysfs
        self.dev = dev
        self.is_real = is_real
        self.held = []

    def path(self, *parts):
        return os.path.join(self.sysfs, *parts)

    def function(self, address, *parts):
        return self.path("bus/pci/devices", address, *parts)

    def mdev(self, uuid, *parts):
        return self.path("bus/mdev/devices", uuid, *parts)

    def functions_of(self, gpu):
        return [os.path.basename(os.readlink(self.function(gpu, "virtfn%d" % index)))
                for index in range(32)]

    def type_folder(self, function, profile):
        base = self.function(function, "mdev_supported_types")
        for name in os.listdir(base):
            if read(os.path.join(base, name, "name")) == "NVIDIA " + profile:
                return os.path.join(base, name)
        raise LookupError(profile)

    def begin_write(self, path, text):
        results, child_end = os.pipe()
        pid = os.fork()
        if pid == 0:
            for descriptor in self.held:
                os.close(descriptor)
            os.write(child_end, write_once(path, text).encode())
            os._exit(0)
        os.close(child_end)
        return Pending(pid, results)

    def write(self, path, text):
        return self.begin_write(path, text).outcome(30)

    def node(self, device):
        """Of a device's folder."""
        group = os.path.basename(os.readlink(os.path.join(device, "iommu_group")))
        return os.path.join(self.dev, "vfio", group)

    def hold(self, device):
        """Opens it as QEMU does: what that gets. Held until release()."""
        try:
            group = os.open(self.node(device), os.O_RDWR)
        except OSError as error:
            return errno.errorcode[error.errno]
        self.held.append(group)
        if not self.is_real:
            return "done"
        try:
            container = os.open(os.path.join(self.dev, "vfio/vfio"), os.O_RDWR)
            self.held.append(container)
            fcntl.ioctl(group, VFIO_GROUP_SET_CONTAINER, struct.pack("i", container))
            fcntl.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU)
            name = bytearray(os.path.basename(device).encode() + b"\0")
            self.held.append(fcntl.ioctl(group, VFIO_GROUP_GET_DEVICE_FD, name))
        except OSError as error:
            self.release()
            return errno.errorcode[error.errno]
        return "done"

    def open_again(self, device):
        try:
            os.close(os.open(self.node(device), os.O_RDWR))
            return "done"
        except OSError as error:
            return errno.errorcode[error.errno]

    def release(self):
        while self.held:
            os.close(self.held.pop())


def read(path):
    with open(path, encoding="ascii") as file:
        return file.read().strip()


def link(path):
    try:
        return os.path.basename(os.readlink(path))
    except FileNotFoundError:
        return "none"


def there(path):
    return "there" if os.path.lexists(path) else "gone"


def write_once(path, text):
    """One write(2): "done", or the error's name."""
    try:
        file = os.open(path, os.O_WRONLY)
        os.write(file, text.encode())
        os.close(file)
        return "done"
    except OSError as error:
        return errno.errorcode[error.errno]


def probe_create(m):
    first, second, third = m.functions_of(MDEV_GPU)[:3]
    create = os.path.join(m.type_folder(first, "L40S-4Q"), "create")
    for what, text in (("of 35 characters", UUIDS[0][:-1]), ("of 38 characters", UUIDS[0] + "00"),
                       ("with braces", "{" + UUIDS[0][:-2] + "}"), ("without dashes", UUIDS[0].replace("-", "0")),
                       ("with a letter g", "g" + UUIDS[0][1:])):
        yield "create: a UUID " + what, m.write(create, text)
    yield "create: nothing is there after a refusal", there(m.mdev(UUIDS[0]))
    yield "create: on a free function", m.write(create, UUIDS[0])
    yield "create: the device", there(m.mdev(UUIDS[0]))
    yield "create: its driver", link(m.mdev(UUIDS[0], "driver"))
    yield "create: its node is root's alone", "%o %d:%d" % node_owner(m, m.mdev(UUIDS[0]))
    yield "create: the same UUID", m.write(create, UUIDS[0])
    other = os.path.join(m.type_folder(second, "L40S-4Q"), "create")
    yield "create: the same UUID on another function", m.write(other, UUIDS[0])
    yield "create: the same UUID in capitals", m.write(other, UUIDS[0].upper())
    yield "create: a second one on a function", m.write(create, UUIDS[1])
    yield "create: another size on the same GPU", m.write(
        os.path.join(m.type_folder(second, "L40S-8Q"), "create"), UUIDS[1])
    yield "create: the same size of another series", m.write(
        os.path.join(m.type_folder(second, "L40S-4A"), "create"), UUIDS[1].upper() + "\n")
    yield "create: its name is in small letters", there(m.mdev(UUIDS[1]))
    for function, profile in ((first, "L40S-4Q"), (third, "L40S-4Q"), (third, "L40S-8Q")):
        kind = m.type_folder(function, profile)
        place = "the function that has one" if function == first else "a free function"
        yield "available_instances: %s on %s" % (profile, place), read(kind + "/available_instances")
    yield "available_instances: writing it", m.write(m.type_folder(third, "L40S-4Q") + "/available_instances", "1")


def node_owner(m, device):
    info = os.stat(m.node(device))
    return info.st_mode & 0o7777, info.st_uid, info.st_gid


def probe_remove(m):
    first = m.functions_of(MDEV_GPU)[0]
    kind = m.type_folder(first, "L40S-4Q")
    device = m.mdev(UUIDS[0])
    below = os.path.join(m.function(first), UUIDS[0])
    yield "remove: 0", m.write(device + "/remove", "0")
    yield "remove: a word", m.write(device + "/remove", "x")
    yield "remove: the device is there", there(device)
    yield "remove: open the device", m.hold(device)
    yield "remove: open its node once more", m.open_again(device)
    removal = m.begin_write(device + "/remove", "1")
    yield "remove: while it is held", removal.outcome(WAITS_S)
    yield "remove: meanwhile in bus/mdev", there(device)
    yield "remove: meanwhile below its parent", there(below)
    yield "remove: meanwhile available_instances", read(kind + "/available_instances")
    yield "remove: meanwhile a create of the same UUID", m.write(kind + "/create", UUIDS[0])
    m.release()
    yield "remove: it returns when the holder closes", removal.outcome(30)
    yield "remove: then below its parent", there(below)
    yield "remove: then available_instances", read(kind + "/available_instances")
    yield "remove: one that nobody holds", m.write(m.mdev(UUIDS[1]) + "/remove", "1")
    yield "remove: once more", m.write(m.mdev(UUIDS[1]) + "/remove", "1")


def probe_capacity(m):
    functions = m.functions_of(MDEV_GPU)
    for index in range(2):
        yield "capacity: the %s half of a GPU" % ("first", "second")[index], m.write(
            m.type_folder(functions[index], "L40S-24Q") + "/create", UUIDS[2 + index])
    yield "capacity: what is left", read(m.type_folder(functions[2], "L40S-24Q") + "/available_instances")
    yield "capacity: one more", m.write(m.type_folder(functions[2], "L40S-24Q") + "/create", UUIDS[4])
    for index in range(2):
        m.write(m.mdev(UUIDS[2 + index]) + "/remove", "1")


def probe_vendor(m):
    functions = m.functions_of(VENDOR_GPU)
    first, second = (m.function(name) for name in functions[:2])
    kind = first + "/nvidia/current_vgpu_type"
    yield "vendor: types of an empty GPU", str(len(read(first + "/nvidia/creatable_vgpu_types").splitlines()) - 1)
    yield "vendor: the type of a free function", read(kind)
    yield "vendor: open one without a type", m.hold(first)
    yield "vendor: clear one without a type", m.write(kind, "0")
    yield "vendor: its parameters without a type", m.write(first + "/nvidia/vgpu_params", "a=1")
    yield "vendor: a word as a type", m.write(kind, "L40S-4Q")
    yield "vendor: an unknown type", m.write(kind, "9999")
    yield "vendor: a type", m.write(kind, "1155")
    yield "vendor: it says so", read(kind)
    yield "vendor: a second type", m.write(kind, "1155")
    yield "vendor: types it offers then", str(len(read(first + "/nvidia/creatable_vgpu_types").splitlines()) - 1)
    yield "vendor: types that others offer then", str(len(read(second + "/nvidia/creatable_vgpu_types").splitlines()) - 1)
    yield "vendor: another size on the same GPU", m.write(second + "/nvidia/current_vgpu_type", "1145")
    yield "vendor: open the device", m.hold(first)
    yield "vendor: open its node once more", m.open_again(first)
    yield "vendor: clear it while it is held", m.write(kind, "0")
    yield "vendor: its parameters while it is held", m.write(first + "/nvidia/vgpu_params", "a=1")
    m.release()
    yield "vendor: clear it", m.write(kind, "0")
    yield "vendor: clear it once more", m.write(kind, "0")
    yield "vendor: what numvfs takes beyond the maximum", m.write(m.function(VENDOR_GPU, "sriov_numvfs"), "33")


def probe_bind(m):
    whole, vfio = m.function(WHOLE_GPU), m.path("bus/pci/drivers/vfio-pci")
    probe = m.path("bus/pci/drivers_probe")
    yield "bind: to a driver that does not match", m.write(vfio + "/bind", WHOLE_GPU)
    yield "bind: from a driver that has it not", m.write(vfio + "/unbind", WHOLE_GPU)
    yield "bind: an override", m.write(whole + "/driver_override", "vfio-pci")
    yield "bind: while its driver has it", m.write(vfio + "/bind", WHOLE_GPU)
    yield "bind: drivers_probe meanwhile", m.write(probe, WHOLE_GPU)
    yield "bind: unbind from its driver", m.write(whole + "/driver/unbind", WHOLE_GPU)
    yield "bind: unbind once more", m.write(m.path("bus/pci/drivers/nvidia/unbind"), WHOLE_GPU)
    yield "bind: probe of a function that is not there", m.write(probe, "0000:99:00.0")
    yield "bind: drivers_probe", m.write(probe, WHOLE_GPU)
    yield "bind: its driver", link(whole + "/driver")
    yield "bind: its node is root's alone", "%o %d:%d" % node_owner(m, whole)
    yield "bind: open it while a host driver has its neighbour", m.hold(whole)
    m.release()


def probe_group(m):
    whole, audio = m.function(WHOLE_GPU), m.function(AUDIO)
    yield "group: both functions", "one" if m.node(whole) == m.node(audio) else "two"
    before = link(audio + "/driver")
    m.write(audio + "/driver_override", "vfio-pci")
    m.write(audio + "/driver/unbind", AUDIO)
    yield "group: bind the neighbour", m.write(m.path("bus/pci/drivers/vfio-pci/bind"), AUDIO)
    yield "group: open the device", m.hold(whole)
    yield "group: open the node once more", m.open_again(whole)
    unbinding = m.begin_write(whole + "/driver/unbind", WHOLE_GPU)
    yield "unbind: while it is held", unbinding.outcome(WAITS_S)
    m.release()
    yield "unbind: it returns when the holder closes", unbinding.outcome(30)
    yield "unbind: its driver then", link(whole + "/driver")
    for address in (WHOLE_GPU, AUDIO):
        m.write(m.function(address, "driver_override"), "\n")
    m.write(audio + "/driver/unbind", AUDIO)
    for address in (WHOLE_GPU, AUDIO):
        m.write(m.path("bus/pci/drivers_probe"), address)
    yield "unbind: the host's drivers are back", "yes" if (link(whole + "/driver"), link(audio + "/driver")) == (
        "nvidia", before) else link(whole + "/driver")
    yield "unbind: no override is left", read(whole + "/driver_override")


def probe_reset(m):
    whole, vfio = m.function(WHOLE_GPU), m.path("bus/pci/drivers/vfio-pci")
    yield "reset: 1", m.write(whole + "/reset", "1")
    yield "reset: 0", m.write(whole + "/reset", "0")
    yield "reset: a word", m.write(whole + "/reset", "x")
    yield "new_id: of the GPU", m.write(vfio + "/new_id", "10de 26b9")
    yield "new_id: once more", m.write(vfio + "/new_id", "10de 26b9")
    yield "new_id: half of one", m.write(vfio + "/new_id", "10de")
    yield "remove_id: of the GPU", m.write(vfio + "/remove_id", "10de 26b9")
    yield "remove_id: once more", m.write(vfio + "/remove_id", "10de 26b9")


def results(m):
    """(probe, outcome) of all, in order. Leaves the host as it was."""
    for part in (probe_create, probe_remove, probe_capacity, probe_vendor, probe_bind, probe_group, probe_reset):
        try:
            yield from part(m)
        finally:
            m.release()


def expected():
    """probe: (outcome of the kernel, outcome of the simulation)"""
    table = {}
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "probes.txt"), encoding="ascii") as file:
        for line in file:
            if line.startswith("#") or not line.strip():
                continue
            cells = [cell.strip() for cell in line.split("|")]
            if len(cells) == 2:
                table[cells[0]] = (cells[1], cells[1])
            elif len(cells) == 4 and cells[3]:
                table[cells[0]] = (cells[1], cells[2])
            else:
                raise ValueError("probes.txt: a line has 2 or 4 cells: " + line)
    return table


def compare(m):
    """Texts: what is not as probes.txt says; empty when all is."""
    table, column, differences = expected(), 0 if m.is_real else 1, []
    for probe, outcome in results(m):
        cells = table.pop(probe, None)
        if cells is None:
            differences.append("%s | %s   (not in the table)" % (probe, outcome))
        elif cells[column] != outcome:
            differences.append("%s | %s   (the table says %s)" % (probe, outcome, cells[column]))
    return differences + ["%s: no such probe" % probe for probe in table]
