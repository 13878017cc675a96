# SPDX-License-Identifier: Apache-2.0
"""An image store to pull into, as an ordinary user with subordinate ids, and a registry to
pull from. The test's first argument is the build folder."""

import crypt
import grp
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from ports import free_port

TOOL = os.path.join(os.path.abspath(sys.argv[1]), "instance-svc/image-tool")
USER = f"hmimg{os.getpid()}"
# Far above what distributions hand out; one range a process.
SUB_FIRST = 1 << 30 | (os.getpid() % 8192) << 17
SUB_RANGE = f"{SUB_FIRST}-{SUB_FIRST + 131071}"

failed = 0


def check(good, sentence, shown=""):
    global failed
    print(("ok - " if good else "not ok - ") + sentence, flush=True)
    if not good:
        failed += 1
        print("\n".join("# " + line for line in str(shown).splitlines()), flush=True)


def run(*argv, **options):
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, **options)


def retried(*argv):
    """The passwd files are locked while another test changes them."""
    for _ in range(20):
        if subprocess.run(argv, stderr=subprocess.DEVNULL, check=False).returncode == 0:
            return
        time.sleep(0.5)
    run(*argv)


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.002)
    return False


def make_certificate(work, host):
    """A CA of this test's own, and what the registry shows. Returns the CA's file."""
    def path(name):
        return os.path.join(work, name)
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
        "/CN=hypeman test CA", "-keyout", path("ca.key"), "-out", path("ca.crt"),
        stderr=subprocess.DEVNULL)
    run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=registry", "-keyout",
        path("registry.key"), "-out", path("registry.csr"), stderr=subprocess.DEVNULL)
    with open(path("names"), "w") as file:
        file.write("subjectAltName=IP:" + host.split(":")[0])
    run("openssl", "x509", "-req", "-in", path("registry.csr"), "-CA", path("ca.crt"), "-CAkey",
        path("ca.key"), "-CAcreateserial", "-days", "2", "-extfile", path("names"), "-out",
        path("registry.crt"), stderr=subprocess.DEVNULL)
    return path("ca.crt")


class Registry:
    """docker-registry on a free loopback port. With a password it speaks TLS, under a CA that
    is in self.ca, and wants that password of "user"."""

    def __init__(self, work, password=None):
        self.host = f"127.0.0.1:{free_port()}"
        self.storage = os.path.join(work, "registry")
        os.mkdir(self.storage)
        self.config = os.path.join(work, "registry.yml")
        with open(self.config, "w") as file:
            file.write("version: 0.1\nlog: {level: error}\n"
                       f"storage: {{filesystem: {{rootdirectory: {self.storage}}}, "
                       "cache: {}}\n" + self.http(work, password))
        self.conf = os.path.join(work, "registries.conf")
        with open(self.conf, "w") as file:
            if not password:
                file.write(f'[[registry]]\nlocation = "{self.host}"\ninsecure = true\n')
        self.log = os.path.join(work, "registry.log")
        self.start()

    def http(self, work, password):
        if not password:
            return f"http: {{addr: '{self.host}'}}\n"
        self.ca = make_certificate(work, self.host)
        users = os.path.join(work, "htpasswd")
        with open(users, "w") as file:
            salt = crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)  # few: it costs at each request
            file.write("user:" + crypt.crypt(password, salt))
        return (f"http: {{addr: '{self.host}', tls: {{certificate: {work}/registry.crt, "
                f"key: {work}/registry.key}}}}\n"
                f"auth: {{htpasswd: {{realm: test, path: {users}}}}}\n")

    def start(self):
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(["docker-registry", "serve", self.config],
                                            stdout=log, stderr=log)
        address, port = self.host.split(":")

        def listens():
            with socket.socket() as probe:
                return probe.connect_ex((address, int(port))) == 0
        if not wait_for(listens):
            raise RuntimeError("docker-registry does not listen")

    def stop(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()

    def blob(self, digest):
        hexadecimal = digest.split(":")[1]
        return os.path.join(self.storage, "docker/registry/v2/blobs/sha256",
                            hexadecimal[:2], hexadecimal, "data")

    def requests(self, text):
        with open(self.log) as file:
            return sum(text in line for line in file)


class Images:
    """Makes images in a layout with umoci and pushes them."""

    def __init__(self, work, registry, *flags):
        self.work = work
        self.registry = registry
        self.flags = flags or ("--dest-tls-verify=false",)
        self.layout = os.path.join(work, "layout")
        run("umoci", "init", "--layout", self.layout)

    def push(self, name, fill, *config):
        image = f"{self.layout}:{name.replace('/', '-').replace(':', '-')}"
        bundle = tempfile.mkdtemp(dir=self.work)
        run("umoci", "new", "--image", image)
        run("umoci", "unpack", "--image", image, bundle + "/b", stderr=subprocess.DEVNULL)
        fill(os.path.join(bundle, "b/rootfs"))
        run("umoci", "repack", "--image", image, bundle + "/b", stderr=subprocess.DEVNULL)
        if config:
            run("umoci", "config", "--image", image, *config)
        run("skopeo", "--insecure-policy", "copy", "--quiet", *self.flags, "oci:" + image,
            f"docker://{self.registry.host}/{name}")
        shutil.rmtree(bundle)
        return f"{self.registry.host}/{name}"


class Store:
    def __init__(self, work, conf, *options):
        self.path = os.path.join(work, "store")
        os.mkdir(self.path)
        owner = pwd.getpwnam(USER)
        os.chown(self.path, owner.pw_uid, owner.pw_gid)
        self.tool = os.path.join(work, "image-tool")  # the build folder may be closed to USER
        shutil.copy(TOOL, self.tool)
        self.argv = ["setpriv", "--reuid", USER, "--regid", USER, "--init-groups", self.tool,
                     self.path, conf] + list(options)

    def start(self, *words):
        return subprocess.Popen(self.argv + list(words), stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)

    @staticmethod
    def finish(process):
        output, _ = process.communicate(timeout=120)
        found = {"output": output}
        for line in output.splitlines():
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
        return found

    def get(self, *references):
        return self.finish(self.start("get", *references))

    def do(self, *words):
        return self.finish(self.start(*words))

    def until(self, condition, *words):
        """Keeps a store open until the condition holds, and returns what it printed."""
        process = self.start("--stay", "yes", *words)
        held = wait_for(condition)
        process.terminate()
        return held, self.finish(process)["output"]

    def record(self, reference):
        """What is remembered of a reference, "" for nothing."""
        try:
            return os.readlink(os.path.join(self.path, "refs", reference.replace("/", "+")))
        except FileNotFoundError:
            return ""

    def names(self, folder):
        return sorted(os.listdir(os.path.join(self.path, folder)))

    def clean(self):
        """No pull left anything, and every disk has its config."""
        return self.names("work") == [] and len(self.names("disks")) % 2 == 0


def extract(disk, folder):
    """The files of a disk, laid out with their owners and modes."""
    run("fsck.erofs", "--extract=" + folder, disk, stderr=subprocess.DEVNULL)
    return folder


def processes_of_user():
    """Those that live: a killed one stays a zombie until PID 1 takes notice."""
    shown = subprocess.run(["ps", "-u", USER, "-o", "stat=,pid=,comm="], stdout=subprocess.PIPE,
                           text=True, check=False).stdout
    return [line for line in shown.splitlines() if not line.startswith("Z")]


def write(path, data=b"", mode=0o644):
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, mode)


def layer_of(images, name):
    """The digest of an image's only layer."""
    with open(images.registry.storage + "/docker/registry/v2/repositories/"
              + name.replace(":", "/_manifests/tags/") + "/current/link") as file:
        manifest = images.registry.blob(file.read())
    with open(manifest) as file:
        return json.load(file)["layers"][0]["digest"]


def layer_path(images, name):
    return images.registry.blob(layer_of(images, name))


def main(test):
    """Runs test(work folder) with a user for the store, and ends with the right status."""
    os.umask(0o022)
    for program in ("docker-registry", "skopeo", "umoci", "mkfs.erofs", "bwrap", "newuidmap"):
        if not shutil.which(program):
            print(f"skip - images are pulled: {program} is not installed")
            sys.exit(0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    work = tempfile.mkdtemp(prefix="hypeman-image-")
    os.chmod(work, 0o711)
    try:
        retried("useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", USER)
        retried("usermod", "--add-subuids", SUB_RANGE, "--add-subgids", SUB_RANGE, USER)
        test(work)
    finally:
        if any(entry.pw_name == USER for entry in pwd.getpwall()):
            retried("userdel", USER)
        if any(entry.gr_name == USER for entry in grp.getgrall()):
            retried("groupdel", USER)
        shutil.rmtree(work)
    sys.exit(1 if failed else 0)
