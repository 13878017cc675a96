# SPDX-License-Identifier: Apache-2.0
"""What the api-gateway's integration tests share: the real gateway between stand-in
services, raw HTTP, and one printed line for each promise."""

import atexit
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
checks = failures = 0


def check(sentence, good, seen=""):
    global checks, failures
    checks += 1
    if good:
        print(f"ok - {sentence}", flush=True)
    else:
        failures += 1
        print(f"not ok - {sentence}{f': {seen}' if seen != '' else ''}", flush=True)


def skip(sentence, reason):
    print(f"skip - {sentence}: {reason}", flush=True)


def finish():
    sys.exit(1 if failures else 0)



def process_state(pid):
    """The letter of /proc/PID/stat."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[0]


class Gateway:
    """Starts both services and the gateway in a folder of their own; all end at exit."""

    def __init__(self, *flags, gpu=None, instance=None):
        """gpu, instance: socket and uid of a real service, in place of its stand-in."""
        self.build = sys.argv[1]
        self.dir = tempfile.mkdtemp(prefix="gateway-test-")
        self.processes = {}
        atexit.register(self.stop)
        for kind, real in (("gpu", gpu), ("instance", instance)):
            if not real:
                self.start_service(kind)
        gpu = gpu or (f"{self.dir}/gpu.sock", os.getuid())
        instance = instance or (f"{self.dir}/instance.sock", os.getuid())
        self.start("gateway", [
            f"{self.build}/api-gateway/api-gateway", "--listen", "127.0.0.1:0",
            "--gpu-agent-socket", gpu[0], "--gpu-agent-user", str(gpu[1]),
            "--instance-svc-socket", instance[0], "--instance-svc-user", str(instance[1]),
            *flags])
        self.port = self.wait_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.wait_healthy()

    def start(self, name, command):
        with open(f"{self.dir}/{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                                    stdout=log, stderr=log)

    def start_service(self, kind):
        self.start(kind, [sys.executable, f"{HERE}/fake_service.py", kind,
                          f"{self.dir}/{kind}.sock", self.build, self.dir])

    def wait_port(self):
        for _ in range(200):
            for line in open(f"{self.dir}/gateway.log"):
                if "listening on" in line:
                    return int(line.rsplit(":", 1)[1])
            if self.processes["gateway"].poll() is not None:
                break
            time.sleep(0.05)
        raise SystemExit("not ok - the gateway starts: " + self.log())

    def wait_healthy(self, seconds=20):
        end = time.time() + seconds
        while time.time() < end:
            if self.get("/health").status == 200:
                return True
            time.sleep(0.1)
        return False

    def log(self, name="gateway"):
        return open(f"{self.dir}/{name}.log", errors="replace").read()

    def signal(self, name, number):
        """A process that is told to stop has stopped when this returns."""
        process = self.processes[name]
        process.send_signal(number)
        while number == signal.SIGSTOP and process_state(process.pid) != "T":
            time.sleep(0.01)

    def kill(self, name):
        self.processes[name].kill()
        self.processes[name].wait()

    def stop(self):
        for name, process in self.processes.items():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate() if name == "gateway" else process.kill()
        for process in self.processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def request(self, method, path, body=None, headers=None, timeout=60):
        """An Answer; `body` may be text, bytes, or a value to send as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            if body is not None and not isinstance(body, (str, bytes)):
                body = json.dumps(body)
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return Answer(response.status, dict((k.lower(), v) for k, v in response.getheaders()),
                          response.read())
        finally:
            connection.close()

    def get(self, path, **kwargs):
        return self.request("GET", path, **kwargs)

    def raw(self, data, timeout=15):
        """Sends bytes as they are, half-closes, and reads to the end."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as s:
            s.sendall(data)
            received = b""
            try:
                while chunk := s.recv(65536):
                    received += chunk
            except ConnectionResetError:
                pass
            return received

    def usage(self):
        """(resident kB, descriptors, threads) of the gateway."""
        pid = self.processes["gateway"].pid
        status = dict(line.split(":", 1) for line in open(f"/proc/{pid}/status"))
        return (int(status["VmRSS"].split()[0]), len(os.listdir(f"/proc/{pid}/fd")),
                int(status["Threads"]))


    def check_memory(self, sentence, before_kb, allowed_kb):
        """Resident memory against a figure of usage()."""
        with open(f"{self.build}/api-gateway/api-gateway", "rb") as f:
            if b"__asan_init" in f.read():
                return skip(sentence, "AddressSanitizer keeps freed memory")
        now_kb = self.usage()[0]
        check(sentence, now_kb < before_kb + allowed_kb, f"{before_kb} kB, then {now_kb} kB")


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def code(self):
        return self.json.get("code") if isinstance(self.json, dict) else None

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:300]!r}"
