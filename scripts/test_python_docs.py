#!/usr/bin/env python3
"""Runs the Python that docs/python.md and README.md show, so that it stays true.

    scripts/test_python_docs.py .build/release/krylens     on two small runs, made of a committed checkpoint
    scripts/test_python_docs.py --runs RUN RUN_TOKENS       on runs that are there: one, and one of several tokens

The ```python blocks of a document are one program, run from top to bottom. What stands for a run folder in them is
replaced: the values of RUN and RUN_TOKENS, and "krylens-runs/…". Without numpy or safetensors it says so and ends with status 77.
"""
import contextlib
import importlib.util
import io
import pathlib
import re
import subprocess
import sys
import tempfile
import traceback

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCUMENTS = ["docs/python.md", "README.md"]


def program(document, run, run_tokens):
    """The blocks of a document with the runs put in, every line at the number it has there; and how many blocks."""
    lines, inside, count = [], False, 0
    for line in (ROOT / document).read_text(encoding="utf-8").splitlines():
        fence = line.startswith("```")
        if fence:
            inside = line.strip() == "```python"
            count += inside
        lines.append(line if inside and not fence else "")
    text = "\n".join(lines) + "\n"
    for name, folder in [("RUN", run), ("RUN_TOKENS", run_tokens)]:
        text = re.sub(rf"(?m)^{name} = .*$", lambda _: f"{name} = {str(folder)!r}", text)
    return text.replace("krylens-runs/…", str(run)), count


def make(krylens, folder):
    """Two runs of a small checkpoint: of the last token, and of the first and the last."""
    demo = ROOT / "benchmarks/training-demo"
    runs = []
    for name, options in [("run", []), ("tokens", ["--tokens", "0,-1"])]:
        runs.append(pathlib.Path(folder) / name)
        subprocess.run(
            [krylens, "align", demo / "checkpoints/step64", "--prompts", demo / "prompts.txt", *options, "--quiet",
             "-o", runs[-1]], check=True)
    return runs


def check(runs):
    """Whether all documents run; says where one does not."""
    good = True
    for document in DOCUMENTS:
        text, count = program(document, *runs)
        if not count:
            print(f"test-python-docs: {document} has no Python", file=sys.stderr)
            good = False
            continue
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                exec(compile(text, document, "exec"), {"__name__": document})
        except Exception as error:
            line = next((f.lineno for f in reversed(traceback.extract_tb(error.__traceback__)) if f.filename == document), "?")
            print(f"test-python-docs: {document}:{line}: {type(error).__name__}: {error}", file=sys.stderr)
            good = False
        else:
            print(f"test-python-docs: {document}: {count} blocks ran, {len(printed.getvalue().splitlines())} lines printed")
    return good


def main():
    missing = [name for name in ("numpy", "safetensors") if importlib.util.find_spec(name) is None]
    if missing:
        print(f"test-python-docs: SKIPPED, {sys.executable} has no {' and no '.join(missing)} (pip install numpy safetensors)",
              file=sys.stderr)
        sys.exit(77)
    if len(sys.argv) == 4 and sys.argv[1] == "--runs":
        good = check(sys.argv[2:])
    elif len(sys.argv) == 2 and not sys.argv[1].startswith("-"):
        with tempfile.TemporaryDirectory() as folder:
            good = check(make(sys.argv[1], folder))
    else:
        sys.exit(__doc__)
    if not good:
        sys.exit(1)


main()
