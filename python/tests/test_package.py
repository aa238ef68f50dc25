"""The package itself."""

from __future__ import annotations

import importlib.metadata
import pathlib
import re
from typing import Any, Callable

import krylens
from conftest import ROOT


def test_one_version() -> None:
    written = re.search(r'krylensVersion = "([^"]+)"', (ROOT / "Sources/Analysis/Version.swift").read_text())
    from krylens._library import library

    assert written and library().version == written.group(1)
    try:
        assert krylens.__version__ == importlib.metadata.version("krylens") == written.group(1)
    except importlib.metadata.PackageNotFoundError:
        assert krylens.__version__ == "0"


def test_names() -> None:
    assert set(krylens.__all__) <= set(dir(krylens))
    assert all(getattr(krylens, name).__doc__ for name in krylens.__all__)
    assert (pathlib.Path(krylens.__file__).parent / "py.typed").exists()


def test_errors_are_one_family() -> None:
    for name in krylens.__all__:
        found = getattr(krylens, name)
        if isinstance(found, type) and issubclass(found, Exception) and not issubclass(found, Warning):
            assert issubclass(found, krylens.Error)


def test_importing_waits_for_nothing(process: Callable[..., Any]) -> None:
    process("""
        import sys, krylens
        assert not {"scipy", "pandas", "tqdm", "torch"} & set(sys.modules)
        assert "krylens._library" not in sys.modules
        """)
