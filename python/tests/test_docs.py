"""The ``python`` blocks of docs/python.md and README.md: one program each, run from top to bottom.

What stands for a model or a run in them is replaced by the values of ``MODEL``, ``RUN`` and ``RUN_TOKENS``.
"""

from __future__ import annotations

import pathlib
import re
from typing import Callable, Dict

import pytest

from conftest import ROOT

PROMPT = "What is the capital of France? The capital is"


def program(document: str, values: Dict[str, pathlib.Path]) -> str:
    """The blocks of a document with the values put in, every line at the number it has there."""
    lines, inside, blocks = [], False, 0
    for line in (ROOT / document).read_text(encoding="utf-8").splitlines():
        fence = line.startswith("```")
        if fence:
            inside = line.strip() == "```python"
            blocks += inside
        lines.append(line if inside and not fence else "")
    assert blocks, f"{document} shows no Python"
    text = "\n".join(lines) + "\n"
    for name, value in values.items():
        text = re.sub(rf"(?m)^{name} = .*$", lambda _: f"{name} = {str(value)!r}", text)
    return text.replace("krylens-runs/…", str(values["RUN"]))


@pytest.fixture(scope="module")
def runs(
    smollm2: pathlib.Path, command: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Dict[str, pathlib.Path]:
    folder = tmp_path_factory.mktemp("documents")
    command("align", smollm2, "-p", PROMPT, "-o", folder / "run", "--quiet")
    command("align", smollm2, "-p", PROMPT, "--tokens", "0,-1", "--layers", "1-5", "-o", folder / "tokens", "--quiet")
    return {"MODEL": smollm2, "RUN": folder / "run", "RUN_TOKENS": folder / "tokens"}


@pytest.mark.parametrize("document", ["docs/python.md", "README.md"])
def test_what_a_document_shows(
    document: str, runs: Dict[str, pathlib.Path], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("scipy", "pandas", "matplotlib", "safetensors"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)  # figures are written where the program runs
    exec(compile(program(document, runs), document, "exec"), {"__name__": document})
