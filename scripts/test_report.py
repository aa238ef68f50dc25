#!/usr/bin/env python3
"""Makes reports and opens them in a headless browser: nothing may be fetched, and the console must stay empty.

    scripts/test_report.py .build/release/krylens        runs of a test fixture
    scripts/test_report.py --page DIR/index.html          a report that is there

Without JavaScript every picture must be shown with all its words in it. With it every figure must be drawn again, with no word cut
off or written over another at 1200 and at 400 pixels; every chart and switch must be within reach of the Tab key; what is said
under the pointer and by the keys must be what the record holds, whatever the switches say. At a phone's width nothing but tables,
pictures and grids of words may be wider than the page.
Without a browser or gnuplot it says so and ends with status 77.
"""
import csv
import io
import itertools
import json
import math
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from headless_browser import BROWSERS, Browser

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

# What is wrong with the charts of a page as they are drawn: words that are cut off, and words on one another.
CHARTS = """
[...document.querySelectorAll('figure')].flatMap(figure => {
  const charts = [...figure.querySelectorAll('.live svg')];
  if (!charts.length) return [`has no chart in ${figure.id}`];
  if (figure.querySelector('img').offsetWidth) return [`shows picture and chart of ${figure.id}`];
  return charts.flatMap(svg => {
    const frame = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll('text')].filter(t => t.textContent.trim());
    const boxes = texts.map(t => t.getBoundingClientRect());
    const cut = texts.filter((t, i) => boxes[i].left < frame.left - 1 || boxes[i].right > frame.right + 1 ||
      boxes[i].top < frame.top - 1 || boxes[i].bottom > frame.bottom + 1).map(t => `cuts off “${t.textContent}” in ${figure.id}`);
    // Boxes are as high as a line; letters are less.
    const meet = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 4 && b.top < a.bottom - 4;
    const over = texts.flatMap((t, i) => texts.slice(0, i).filter((_, j) => meet(boxes[i], boxes[j])).map(
      other => `writes “${t.textContent}” over “${other.textContent}” in ${figure.id}`));
    // On a phone wide grids scroll.
    const hidden = innerWidth > 1000 && frame.width > svg.parentElement.clientWidth + 1 ? [`hides a part of ${figure.id}`] : [];
    return [...(texts.length ? [] : [`draws nothing in ${figure.id}`]), ...cut, ...hidden, ...over.slice(0, 3)];
  });
})
"""


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


def check_static(browser, page):
    """What is wrong with the page without JavaScript, one line each."""
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    browser.resize(1200)
    browser.open(page)
    yield from browser.complaints(page)
    browser.value("document.querySelectorAll('details').forEach(d => d.open = true)")
    pictures = browser.value("[...document.images].map(i => i.complete && i.naturalWidth > 0 && i.offsetWidth > 0)")
    if not pictures or not all(pictures):
        yield f"does not show {pictures.count(False)} of {len(pictures)} pictures without JavaScript"
    for picture in browser.value(WORDS):
        yield from unseen(picture, page.parent / "figures")
    yield from check_widths(browser)
    browser.call("Emulation.setScriptExecutionDisabled", value=False)


def check_widths(browser):
    for width in (1200, 400):
        browser.resize(width)
        wide = browser.value("document.documentElement.scrollWidth")
        if wide > width:
            yield f"is {wide} pixels wide in a window of {width}"


def check_live(browser, page, theme):
    """What is wrong with the page's charts, one line each."""
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
    for width in (1200, 400):
        browser.resize(width)
        browser.open(page)
        browser.value("document.querySelectorAll('details').forEach(d => d.open = true)")
        # The charts of folded sections are drawn once they have a width.
        browser.value("new Promise(done => setTimeout(done, 300))")
        yield from (f"{line} ({width} pixels, {theme})" for line in browser.value(CHARTS))
        yield from browser.complaints(page)
    yield from check_widths(browser)


def check_keys(browser):
    """Every chart, switch and button is reached by the Tab key, and a chart says something when it is."""
    browser.resize(1200)
    wanted = browser.value("""(() => {
      window.stops = [...document.querySelectorAll('select, button, .live svg')];
      window.reached = new Set(), window.silent = [];
      document.activeElement.blur();
      return stops.length;
    })()""")
    count = browser.value("document.querySelectorAll('a, button, select, summary, svg').length")
    for _ in range(count + 20):
        browser.press("Tab")
        found = browser.value("""(() => {
          const now = document.activeElement;
          reached.add(now);
          if (now.matches('svg') && document.querySelector('.tip').hidden) silent.push(now.closest('figure').id);
          return stops.filter(s => reached.has(s)).length;
        })()""")
        if found == wanted:
            break
    if found < wanted:
        yield f"keeps {wanted - found} of {wanted} charts and switches from the Tab key"
    for name in browser.value("silent"):
        yield f"says nothing when the chart of {name} is reached by keys"


TIP = "[...document.querySelectorAll('.tip:not([hidden]) div')].map(d => d.textContent)"


def said(browser, figure, part, keys):
    """What a chart says at the place that some keys lead to from its first one."""
    browser.value(f"""(() => {{
      const svg = document.querySelectorAll('#{figure} .live svg')[{part}];
      const press = key => svg.dispatchEvent(new KeyboardEvent('keydown', {{key, bubbles: true, cancelable: true}}));
      svg.scrollIntoView({{block: 'center'}});
      svg.focus();
      for (let i = 0; i < 40; i++) press('ArrowUp');
      press('Home');
      {json.dumps(keys)}.forEach(press);
    }})()""")
    return browser.value(TIP)


def pointed(browser, figure, part):
    """What the chart says when the pointer goes to where the keys have led."""
    x, y = browser.value(f"""(() => {{
      const box = document.querySelectorAll('#{figure} .live svg')[{part}].querySelector('.cursor').getBoundingClientRect();
      return [box.left + box.width / 2, box.top + box.height / 2];
    }})()""")
    browser.press("Escape")
    browser.point(1, 1)
    browser.point(x, y)
    return browser.value(TIP)


def numbers(text):
    """The numbers of a text, as they are written on the page."""
    return [float(n) for n in re.findall(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?", text.replace("−", "-"))]


def check_values(browser, run):
    """The heat map of coupling in every reading and of every prompt against the record, and the spectra's values."""
    record = json.loads((run / "result.json").read_text())
    prompts = record["prompts"]
    tables = prompts[0]["coupling"]
    options = [list(dict.fromkeys(t[key] for t in tables)) for key in ("rank", "sign", "normalisation", "form")]
    kept = [o for o in options if len(o) > 1]
    texts = browser.value("[...document.querySelectorAll('#run-1-depth select')].map(s => [...s.options].map(o => o.textContent))")
    if [[str(x) for x in o] for o in kept] != texts[:-1] or len(texts[-1]) != len(prompts) + 1:
        yield f"has the switches {texts} for the readings {kept} of {len(prompts)} prompts"
        return
    pictures = set()
    choices = list(itertools.product(*(range(len(o)) for o in texts)))
    for choice in choices:
        browser.value(f"""[...document.querySelectorAll('#run-1-depth select')].forEach((s, i) => {{
          s.selectedIndex = {list(choice)}[i];
          s.dispatchEvent(new Event('change'));
        }})""")
        reading = dict(zip(("rank", "sign", "normalisation", "form"), itertools.product(*options).__next__()))
        for key, o in zip(("rank", "sign", "normalisation", "form"), options):
            if len(o) > 1:
                reading[key] = o[choice[kept.index(o)]]
        chosen = prompts if choice[-1] == 0 else [prompts[choice[-1] - 1]]
        shown = [next(t for t in p["coupling"] if all(t[k] == v for k, v in reading.items())) for p in chosen]
        value = sum(t["matrix"][1][2] for t in shown) / len(shown)
        lines = said(browser, "run-1-depth", 0, ["ArrowDown", "ArrowRight", "ArrowRight"])
        if not lines or lines[0] != "block 2, basis of block 3":
            yield f"says {lines} of block 2 in the basis of block 3"
            continue
        found = numbers(lines[1].split(":")[1])
        # Half a unit of the fifth digit.
        if abs(found[0] - value) > 0.500001e-5:
            yield f"says {found[0]} for {value}, {reading}, choice {choice}"
        if shown[0]["bound"] is not None:
            bound = sum(t["bound"][1][2] for t in shown) / len(shown)
            # Two digits, rounded up.
            if len(found) < 2 or not bound * 0.999 <= found[1] <= 1.11 * bound:
                yield f"says {lines[1]} for a bound of {bound}"
        if pointed(browser, "run-1-depth", 0) != lines:
            yield f"says something else under the pointer than by the keys: {lines}"
        pictures.add(browser.value("document.querySelector('#run-1-depth .cells').getAttribute('href')"))
    # Absolute values may change nothing, and where all have one rank neither does that.
    if len(pictures) < len(choices) / 2:
        yield f"draws only {len(pictures)} different heat maps for {len(choices)} choices"
    last = prompts[-1]
    browser.value("""(() => {
      const s = [...document.querySelectorAll('#run-1-spectra select')].find(s => s.options[0].textContent.startsWith('mean'));
      s.selectedIndex = s.options.length - 1;
      s.dispatchEvent(new Event('change'));
    })()""")
    lines = said(browser, "run-1-spectra", 0, ["ArrowDown", "ArrowRight"])
    value = last["layers"][1]["singular_values"][1]
    if not lines or lines[0] != "block 2" or not math.isclose(numbers(lines[2].split(":")[1])[0], value, rel_tol=1e-4):
        yield f"says {lines} for the second value {value} of block 2"


def check_tables(browser):
    """Every figure gives its data as CSV: by its button, and without JavaScript by links."""
    browser.value("""(() => {
      window.saved = [];
      URL.createObjectURL = blob => (saved.push(blob.text()), '#');
      document.querySelectorAll('.files button').forEach(b => b.click());
    })()""")
    tables = browser.value("Promise.all(saved)")
    figures = browser.value("document.querySelectorAll('figure').length")
    if len(tables) != figures:
        yield f"gives {len(tables)} tables for {figures} figures"
    for table in tables:
        rows = list(csv.reader(io.StringIO(table)))
        if len(rows) < 3 or not any(row and row[-1].replace(".", "").replace("-", "").replace("e", "").isdigit() for row in rows):
            yield f"gives a table without numbers: {table[:200]}"
        if any(field[:1] in "=+@" and field[:1] for row in rows for field in row if not re.fullmatch(r"[-+0-9.e]+", field)):
            yield f"gives a formula in a table: {table[:200]}"
    linked = browser.value("""[...document.querySelectorAll('figure')].filter(f => f.querySelector('a.plain[href^="data:text/csv"]')).length""")
    if linked < figures - 1:
        yield f"links the data of {linked} of {figures} figures without JavaScript"


def check_theme(browser):
    colour = "getComputedStyle(document.body).backgroundColor"
    before = browser.value(colour)
    browser.value("document.querySelector('.theme').click()")
    if browser.value(colour) == before:
        yield "does not change its colours by the button"


def complaints(program, page, run=None):
    """What is wrong with the page, one line each; `run` is the folder of the only run it is of."""
    wrong = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(program, profile)
        try:
            browser.call("Browser.setDownloadBehavior", behavior="deny")
            wrong += check_static(browser, page)
            for theme in ("light", "dark"):
                wrong += check_live(browser, page, theme)
            wrong += check_keys(browser)
            if run:
                wrong += check_values(browser, run)
            wrong += check_tables(browser)
            wrong += check_theme(browser)
            wrong += browser.complaints(page)
        finally:
            browser.close()
    return wrong


HOSTILE = ["<script>console.log(2)</script>", "</script><img src=x onerror=console.log(3)>", "=HYPERLINK(1)", "Ġ\u202eis\u2028\"'&"]


def make(krylens, folder):
    """Reports of runs of a test fixture, named after what should do no harm, with every kind of figure: each page, and the run
    whose numbers it is to be compared with."""
    fixture = pathlib.Path(__file__).resolve().parent.parent / "Tests/ModelTests/Fixtures/llama"
    folder = pathlib.Path(folder)
    names = ["<script>console.log(1)</script>", "`$(x)` 'y' \"z\" <img src=http://127.0.0.1/x>", "-".join(["a long name"] * 12)]

    def command(*arguments):
        subprocess.run([krylens, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)

    def name_tokens(run):
        """Gives the tokens of a record the texts that they would have in a hostile vocabulary."""
        path = run / "result.json"
        record = json.loads(path.read_text())
        for prompt in record.get("prompts", []):
            prompt["tokens"] = HOSTILE
        if record.get("command") == "lens read":
            record["tokens"] = HOSTILE
            for place in record["places"]:
                place["top"][0]["text"] = HOSTILE[place["token"]]
        path.write_text(json.dumps(record))
        return run

    tokens = ["--token-ids", "1,2,3,4", "--token-ids", "4,3,2,1", "--threads", "1"]
    common = ["--top", "3", "--quiet"]
    kinds = [["--ranks", "1,3", "--form", "both"], ["--step", "10"], ["--step", "2000"], ["--random-init"], ["--kind", "self"]]
    runs = []
    for number, options in enumerate(kinds):
        runs.append(folder / f"run-{number}")
        name = ["--name", names[number % len(names)]]
        command("align", fixture, *tokens, *common, *name, *options, "-o", runs[-1])
        name_tokens(runs[-1])
    command("report", *runs, "-o", folder / "report", "--quiet")
    yield folder / "report/index.html", None
    scores = folder / "scores.csv"
    with scores.open("w", newline="") as file:
        csv.writer(file).writerows([["model", "mean_of_six"], *zip(names, [1, 2, 4])])
    models = [folder / f"model-{number}" for number in range(3)]
    for model, name, family in zip(models, names, ["gpt2", "gptj", "mistral"]):
        command("align", fixture.parent / family, *tokens, *common, "--name", name, "-o", model)
    command("report", *models, "--scores", scores, "-o", folder / "scored", "--quiet")
    yield folder / "scored/index.html", None
    command("report", runs[0], "-o", folder / "one", "--quiet")
    yield folder / "one/index.html", runs[0]
    command("triplets", fixture, *tokens, *common, "--name", names[0], "--from-layer", "0", "--to-layer", "2", "--from-token", "all",
            "--to-token", "all", "--read-out", "3", "-o", folder / "maps")
    command("report", name_tokens(folder / "maps"), "-o", folder / "maps-report", "--quiet")
    yield folder / "maps-report/index.html", None
    command("lens", "fit", fixture, *tokens, "--quiet", "-o", folder / "lens")
    command("lens", "read", fixture, "--token-ids", "1,2,3,4", "--lens", folder / "lens", "-o", folder / "read")
    command("report", name_tokens(folder / "read"), "-o", folder / "read-report", "--quiet")
    yield folder / "read-report/index.html", None


def main():
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    for found, name, package in [(program, "browser", "chromium"), (shutil.which("gnuplot"), "gnuplot", "gnuplot-nox")]:
        if not found:
            print(f"test-report: SKIPPED, no {name} is installed (Debian: apt-get install {package})", file=sys.stderr)
            sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        pages = [(pathlib.Path(sys.argv[2]), None)] if sys.argv[1] == "--page" else make(sys.argv[1], folder)
        wrong = [f"{page.parent.name}: {line}" for page, run in pages for line in complaints(program, page, run)]
    for line in wrong:
        print(f"test-report: the page {line}", file=sys.stderr)
    if wrong:
        sys.exit(1)
    print("test-report: with and without JavaScript the pages show all their words and the record's numbers, fetch nothing, and the "
          "console stays empty")


if __name__ == "__main__":
    main()
