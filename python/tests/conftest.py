"""What the tests share: tiny models, runs of the command and of the package, and programs in processes of their own."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import textwrap
from typing import Any, Callable, Iterator, List

import numpy as np
import pytest

import krylens

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "Tests/ModelTests/Fixtures"
PROMPTS = [[1, 2, 3, 4], [5, 6, 7]]


# Background jobs start with Ctrl-C ignored, and their children inherit that: programs that are to be interrupted as well.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def llama() -> pathlib.Path:
    """A model of 3 blocks of width 24, with 61 tokens and no tokenizer."""
    return FIXTURES / "llama"


@pytest.fixture(scope="session")
def trained() -> pathlib.Path:
    """A tiny model with a tokenizer."""
    return ROOT / "benchmarks/training-demo/checkpoints/step64"


@pytest.fixture(scope="session")
def smollm2() -> pathlib.Path:
    """SmolLM2-135M-Instruct, where scripts/fetch-demo-model.sh has put it."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    path = cache / "krylens/SmolLM2-135M-Instruct.Q4_1.gguf"
    if not path.exists():
        pytest.skip("SmolLM2 is not there: scripts/fetch-demo-model.sh fetches it")
    return path


@pytest.fixture(scope="session")
def command() -> Callable[..., None]:
    """Runs the krylens command, which make test-python names."""
    path = os.environ.get("KRYLENS_COMMAND")
    if not path:
        pytest.skip("KRYLENS_COMMAND does not name the command")

    def run(*arguments: Any) -> None:
        subprocess.run([path, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)

    return run


@pytest.fixture(scope="session")
def run_folder(llama: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A run of two prompts and two ranks."""
    folder = tmp_path_factory.mktemp("run") / "run"
    with krylens.open(llama) as model:
        model.align(PROMPTS, top=4, ranks=[2, 4], form="both", save_hidden_states=True, output=folder, progress=False)
    return folder


@pytest.fixture
def model(llama: pathlib.Path) -> Iterator[krylens.Model]:
    with krylens.open(llama) as opened:
        yield opened


@pytest.fixture
def jacobian(model: krylens.Model) -> krylens.Jacobian:
    return model.jacobian([1, 2, 3, 4], layer=2)


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def process() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Runs a program in an interpreter of its own: what a crash would take with it, or what changes the process."""

    def run(source: str, *arguments: Any, expected: int = 0) -> "subprocess.CompletedProcess[str]":
        command: List[str] = [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(source), *map(str, arguments)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert ended.returncode == expected, f"status {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        return ended

    return run
