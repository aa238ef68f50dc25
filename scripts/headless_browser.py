"""A headless Chromium, spoken to over pipes by the Chrome DevTools protocol (--remote-debugging-pipe), whose messages are JSON
followed by a null character."""
import json
import os
import select
import subprocess
import sys
import time

BROWSERS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge"]
PATIENCE = 60  # seconds for any answer


class Browser:
    """A page of a headless browser, and everything it says."""

    def __init__(self, program, profile):
        to_browser, from_browser = os.pipe(), os.pipe()
        # Above 9, so that neither is in the way of the 3 and 4 the browser expects.
        ends = [os.dup(fd) if fd > 9 else _above(fd) for fd in (to_browser[0], from_browser[1])]
        command = [program, "--headless", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu",
                   "--disable-background-networking", "--disable-component-update", f"--user-data-dir={profile}"]
        if os.geteuid() == 0:
            command.append("--no-sandbox")  # which root cannot have
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=False,
            preexec_fn=lambda: (os.dup2(ends[0], 3), os.dup2(ends[1], 4)))
        for fd in (to_browser[0], from_browser[1], *ends):
            os.close(fd)
        self.output, self.input, self.buffer, self.count = to_browser[1], from_browser[0], b"", 0
        self.events = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Network", "Log", "Runtime", "Page"):
            self.call(f"{domain}.enable")

    session = None

    def call(self, method, **parameters):
        """What the browser answers; what it says before is kept in `events`."""
        self.count += 1
        message = {"id": self.count, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.output, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read(PATIENCE)
            if answer is None:
                sys.exit(f"test-report: the browser did not answer {method}")
            if answer.get("id") == self.count:
                if "error" in answer:
                    sys.exit(f"test-report: {method}: {answer['error']['message']}")
                return answer["result"]
            self.events.append(answer)

    def read(self, seconds):
        """The next message, or None if there is none in that time."""
        end = time.monotonic() + seconds
        while b"\0" not in self.buffer:
            if not select.select([self.input], [], [], max(0, end - time.monotonic()))[0]:
                return None
            part = os.read(self.input, 1 << 16)
            if not part:
                sys.exit("test-report: the browser ended")
            self.buffer += part
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def open(self, path):
        """Loads a file, and waits until nothing more happens."""
        self.events = []
        self.call("Page.navigate", url=path.resolve().as_uri())
        end = time.monotonic() + PATIENCE
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
            event = self.read(end - time.monotonic())
            if event is None:
                sys.exit("test-report: the page did not load")
            self.events.append(event)
        while (event := self.read(1)) is not None:
            self.events.append(event)

    def value(self, expression):
        """What an expression of the page's script gives; of a promise what it becomes."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            sys.exit(f"test-report: {answer['exceptionDetails']['exception'].get('description', expression)[:500]}")
        return answer["result"].get("value")

    def resize(self, width):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)

    def press(self, key):
        code = {"Tab": 9, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Home": 36, "Escape": 27}[key]
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def point(self, x, y):
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def complaints(self, page):
        """What was fetched and what was said since the last call, one line each."""
        events, self.events = self.events, []
        for event in events:
            method, parameters = event.get("method"), event.get("params", {})
            if method == "Network.requestWillBeSent":
                url = parameters["request"]["url"]
                if not url.startswith(("data:", "blob:")) and url != page.resolve().as_uri():
                    yield f"fetches {url[:200]}"
            elif method == "Log.entryAdded":
                yield f"log: {parameters['entry']['text'][:200]}"
            elif method == "Runtime.consoleAPICalled":
                yield f"console: {json.dumps(parameters['args'])[:200]}"
            elif method == "Runtime.exceptionThrown":
                yield f"exception: {parameters['exceptionDetails']['text'][:200]}"

    def close(self):
        self.process.terminate()
        self.process.wait()


def _above(fd):
    import fcntl
    return fcntl.fcntl(fd, fcntl.F_DUPFD, 10)
