#!/usr/bin/env python3
"""Makes a report and opens it in a headless browser: nothing may be fetched, and the console must stay empty.

    scripts/test_report.py .build/release/krylens        runs of a test fixture
    scripts/test_report.py --page DIR/index.html          a report that is there

Every picture must be shown with all its words in it, and at a phone's width nothing but tables and pictures may be wider
than the page.
Without a browser or gnuplot it says so and ends with status 77. It talks to the browser over pipes by the Chrome DevTools
protocol (--remote-debugging-pipe), whose messages are JSON followed by a null character.
"""
import csv
import json
import os
import pathlib
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time

BROWSERS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge"]
PATIENCE = 60  # seconds for any answer

# What is written in each picture of the page, and what of it lies outside, by the boxes the browser sets it in.
WORDS = """
[...document.querySelectorAll('figure')].map(figure => {
  const source = new TextDecoder().decode(
    Uint8Array.from(atob(figure.querySelector('img').src.split(',')[1]), c => c.charCodeAt(0)));
  const svg = document.importNode(new DOMParser().parseFromString(source, 'image/svg+xml').documentElement, true);
  const size = svg.viewBox.baseVal;
  svg.style.cssText = `width: ${size.width}px; height: ${size.height}px; position: absolute; left: 0; top: 0`;
  document.body.append(svg);
  const frame = svg.getBoundingClientRect();
  const texts = [...svg.querySelectorAll('text')].filter(t => t.textContent.trim());
  const cut = texts.filter(t => {
    const box = t.getBoundingClientRect();
    return box.left < frame.left || box.top < frame.top || box.right > frame.right || box.bottom > frame.bottom;
  });
  svg.remove();
  return {name: figure.id, texts: texts.map(t => t.textContent), cut: cut.map(t => t.textContent)};
})
"""


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
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"]["value"]

    def close(self):
        self.process.terminate()
        self.process.wait()


def _above(fd):
    import fcntl
    return fcntl.fcntl(fd, fcntl.F_DUPFD, 10)


def expected(script):
    """The titles, names of axes and entries of keys that a gnuplot script asks for: those that do not fit it leaves out."""
    text = script.read_text()
    yield from re.findall(r"(?:title|label) '([^']*)'", text)
    for suffix, column in re.findall(r"name\.'([^']*)'[^,]*title columnhead\((\d+)\)", text):
        header = script.with_name(script.stem + suffix).read_text().split("\n")[0]
        yield header.split("\t")[int(column) - 1]


def unseen(picture, scripts):
    """What of a picture's words cannot be read, one line each."""
    for text in picture["cut"]:
        yield f"cuts off “{text}” in {picture['name']}"
    for text in expected(scripts / f"{picture['name']}.gp"):
        if text.strip() and text not in picture["texts"]:
            yield f"does not show “{text}” in {picture['name']}"


def complaints(program, page):
    """What is wrong with the page, one line each."""
    wrong = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(program, profile)
        try:
            browser.call("Emulation.setDeviceMetricsOverride", width=1200, height=900, deviceScaleFactor=1, mobile=False)
            browser.open(page)
            for event in browser.events:
                method, parameters = event.get("method"), event.get("params", {})
                if method == "Network.requestWillBeSent":
                    url = parameters["request"]["url"]
                    if not url.startswith("data:") and url != page.resolve().as_uri():
                        wrong.append(f"fetches {url[:200]}")
                elif method == "Log.entryAdded":
                    wrong.append(f"log: {parameters['entry']['text'][:200]}")
                elif method == "Runtime.consoleAPICalled":
                    wrong.append(f"console: {json.dumps(parameters['args'])[:200]}")
                elif method == "Runtime.exceptionThrown":
                    wrong.append(f"exception: {parameters['exceptionDetails']['text'][:200]}")
            browser.call("Runtime.evaluate", expression="document.querySelectorAll('details').forEach(d => d.open = true)")
            pictures = browser.value("[...document.images].map(i => i.complete && i.naturalWidth > 0)")
            if not pictures or not all(pictures):
                wrong.append(f"{pictures.count(False)} of {len(pictures)} pictures are not shown")
            for picture in browser.value(WORDS):
                wrong += unseen(picture, page.parent / "figures")
            for width in (1200, 390):
                browser.call(
                    "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
                wide = browser.value("document.documentElement.scrollWidth")
                if wide > width:
                    wrong.append(f"is {wide} pixels wide in a window of {width}")
        finally:
            browser.close()
    return wrong


def make(krylens, folder):
    """A report of runs of a test fixture, named after what should do no harm, with every kind of figure."""
    fixture = pathlib.Path(__file__).resolve().parent.parent / "Tests/ModelTests/Fixtures/llama"
    names = ["<script>console.log(1)</script>", "`$(x)` 'y' \"z\" <img src=http://127.0.0.1/x>", "-".join(["a long name"] * 12)]
    common = ["--token-ids", "1,2,3,4", "--token-ids", "4,3,2,1", "--top", "3", "--threads", "1", "--quiet"]
    kinds = [[], ["--step", "10"], ["--step", "2000"], ["--random-init"], ["--kind", "self"]]
    runs = []
    for number, options in enumerate(kinds):
        runs.append(f"{folder}/run-{number}")
        name = ["--name", names[number % len(names)]]
        subprocess.run([krylens, "align", fixture, *common, *name, *options, "-o", runs[-1]], check=True)
    scores = pathlib.Path(folder) / "scores.csv"
    with scores.open("w", newline="") as file:
        csv.writer(file).writerows([["model", "mean_of_six"], *zip(names, [1, 2, 4])])
    subprocess.run([krylens, "report", *runs, "--scores", scores, "-o", f"{folder}/report", "--quiet"], check=True)
    return pathlib.Path(folder) / "report/index.html"


def main():
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    for found, name, package in [(program, "browser", "chromium"), (shutil.which("gnuplot"), "gnuplot", "gnuplot-nox")]:
        if not found:
            print(f"test-report: SKIPPED, no {name} is installed (Debian: apt-get install {package})", file=sys.stderr)
            sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        page = pathlib.Path(sys.argv[2]) if sys.argv[1] == "--page" else make(sys.argv[1], folder)
        wrong = complaints(program, page)
    for line in wrong:
        print(f"test-report: the page {line}", file=sys.stderr)
    if wrong:
        sys.exit(1)
    print("test-report: the page opens, shows all its words, fetches nothing, and the console stays empty")


main()
