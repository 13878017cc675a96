# SPDX-License-Identifier: Apache-2.0
"""Debian's Chromium without a window, driven by WebDriver (W3C) through chromedriver."""

import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
START_S = 60
WAIT_S = 30


class Browser:
    """Use as a context."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="hypeman-browser-")
        port_file = f"{self.folder}/port"
        with open(port_file, "wb") as output:
            self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=output,
                                           stderr=subprocess.STDOUT, start_new_session=True)
        self.url = f"http://127.0.0.1:{self.read_port(port_file)}/session"
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic",
                     "--no-first-run", "--disable-background-networking",
                     "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
                     "--window-size=1200,1000", f"--user-data-dir={self.folder}/profile"]
        answer = self.call("POST", "", {"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"}}}})
        self.url += "/" + answer["sessionId"]

    def read_port(self, path):
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            with open(path) as file:
                text = file.read()
            found = re.search(r"started successfully on port (\d+)", text)
            if found:
                return found[1]
            time.sleep(0.1)
        raise RuntimeError("chromedriver does not start: " + text)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.call("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait()
            shutil.rmtree(self.folder, ignore_errors=True)

    def call(self, method, path, body=None):
        request = urllib.request.Request(
            self.url + path, method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.load(error)["value"]["message"].splitlines()[0]) from error

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def find(self, css):
        return self.call("POST", "/element",
                         {"using": "css selector", "value": css})[ELEMENT]

    def click(self, css):
        """Of an element that the page may be about to replace."""
        for attempt in range(10):
            try:
                self.call("POST", f"/element/{self.find(css)}/click", {})
                return
            except RuntimeError:
                if attempt == 9:
                    raise
                time.sleep(0.5)

    def type(self, css, text):
        self.call("POST", f"/element/{self.find(css)}/value", {"text": text})

    def run(self, script, *arguments):
        """The value of a function body in the page."""
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def text(self, css):
        """What can be seen of the elements, a line each; '' when there are none."""
        return self.run("return [...document.querySelectorAll(arguments[0])]"
                        ".map((found) => found.innerText).join('\\n')", css)

    def wait_text(self, css, part, seconds=WAIT_S):
        """The text once `part` is in it, or as it is in the end."""
        end = time.monotonic() + seconds
        while True:
            text = self.text(css)
            if part in text or time.monotonic() > end:
                return text
            time.sleep(0.2)

    def complaints(self):
        """What the page's console says of errors and of what its policy forbids."""
        return [entry["message"] for entry in self.call("POST", "/se/log", {"type": "browser"})
                if entry["level"] == "SEVERE"]

    def screenshot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("GET", "/screenshot")))
