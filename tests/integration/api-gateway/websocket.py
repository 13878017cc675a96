# SPDX-License-Identifier: Apache-2.0
"""A WebSocket client that can also do what none should."""

import base64
import hashlib
import json
import os
import socket
import struct

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class WebSocket:
    """`headers` replace those of the handshake; a None leaves one out."""

    def __init__(self, port, path, tls=None, **headers):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.buffer = b""
        key = base64.b64encode(os.urandom(16)).decode()
        fields = {"Host": f"127.0.0.1:{port}", "Connection": "Upgrade", "Upgrade": "websocket",
                  "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key}
        fields.update({name.replace("_", "-"): value for name, value in headers.items()})
        self.socket.sendall(f"GET {path} HTTP/1.1\r\n".encode() + b"".join(
            f"{name}: {value}\r\n".encode() for name, value in fields.items()
            if value is not None) + b"\r\n")
        head = self.read_until(b"\r\n\r\n")
        self.status = int(head.split()[1]) if head else 0
        self.head = head.decode()
        accept = base64.b64encode(hashlib.sha1(
            (key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
        self.accepted = self.status == 101 and f"Sec-WebSocket-Accept: {accept}\r\n" in self.head
        if self.status != 101:
            self.body = self.buffer + b"".join(iter(lambda: self.socket.recv(65536), b""))
            self.socket.close()

    def read_until(self, end):
        while end not in self.buffer:
            chunk = self.socket.recv(65536)
            if not chunk:
                return b""
            self.buffer += chunk
        found, self.buffer = self.buffer.split(end, 1)
        return found + end

    def read(self, size):
        while len(self.buffer) < size:
            chunk = self.socket.recv(65536)
            if not chunk:
                raise EOFError
            self.buffer += chunk
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def frame(self, opcode, data=b"", final=True, masked=True, reserved=0, length=None):
        """The bytes of a frame; `length` is a lie."""
        size = len(data) if length is None else length
        head = bytes([(0x80 if final else 0) | reserved | opcode])
        bit = 0x80 if masked else 0
        if size < 126:
            head += bytes([bit | size])
        elif size < 0x10000:
            head += bytes([bit | 126]) + struct.pack(">H", size)
        else:
            head += bytes([bit | 127]) + struct.pack(">Q", size)
        if not masked:
            return head + data
        mask = os.urandom(4)
        pad = (mask * (len(data) // 4 + 1))[:len(data)]
        return head + mask + (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(
            len(data), "big")

    def send(self, opcode, data=b"", **how):
        if isinstance(data, str):
            data = data.encode()
        elif not isinstance(data, bytes):
            data = json.dumps(data).encode()
        self.socket.sendall(self.frame(opcode, data, **how))

    def receive(self):
        """(opcode, bytes) of the next frame; (None, b"") at the end of the connection."""
        try:
            first, second = self.read(2)
            size = second & 0x7f
            if size == 126:
                size = struct.unpack(">H", self.read(2))[0]
            elif size == 127:
                size = struct.unpack(">Q", self.read(8))[0]
            return first & 0x0f, self.read(size)
        except (EOFError, ConnectionResetError):
            return None, b""

    def finish(self):
        """Reads to the end, answering pings: (output, texts, close code or None)."""
        output, texts = b"", []
        while True:
            opcode, data = self.receive()
            if opcode == BINARY:
                output += data
            elif opcode == TEXT:
                texts.append(json.loads(data))
            elif opcode == PING:
                self.send(PONG, data)
            elif opcode == CLOSE:
                self.socket.sendall(self.frame(CLOSE, data))
                self.close_reason = data[2:].decode()
                self.receive()
                self.socket.close()
                return output, texts, struct.unpack(">H", data[:2])[0]
            elif opcode is None:
                self.socket.close()
                return output, texts, None
