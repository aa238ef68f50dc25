"""Whole runs: the files of the command, bit for bit."""

from __future__ import annotations

import json
import pathlib
from typing import Any, Callable, Dict, List

import numpy as np
import pytest

import krylens
from conftest import PROMPTS

# What differs between two runs of the same settings.
VARIES = {"seconds", "peak_memory_bytes", "peak_private_bytes", "output"}


def lasting(value: Any) -> Any:
    """A record without times, memory and the folder's name."""
    if isinstance(value, dict):
        return {key: lasting(entry) for key, entry in value.items() if key not in VARIES}
    return [lasting(entry) for entry in value] if isinstance(value, list) else value


@pytest.mark.parametrize("options, settings", [
    (["--top", 4], {"top": 4}),
    (["--top", 5, "--ranks", "2,5", "--form", "both", "--layers", "1,3", "--save-hidden-states", "--seed", 7],
     {"top": 5, "ranks": [2, 5], "form": "both", "layers": [1, 3], "save_hidden_states": True, "seed": 7}),
    (["--kind", "self", "--tokens", "0,-1", "--top", 3, "--site", "mlp"],
     {"kind": "self", "tokens": [0, -1], "top": 3, "site": "mlp"}),
    (["--top", 3, "--random-init", "--seed", 5, "--threads", 1], {"top": 3, "random_init": True, "seed": 5, "threads": 1})])
def test_bits_are_the_commands(
    llama: pathlib.Path, command: Callable[..., None], tmp_path: pathlib.Path, options: List[Any], settings: Dict[str, Any],
) -> None:
    prompts = [argument for ids in PROMPTS for argument in ("--token-ids", ",".join(map(str, ids)))]
    command("align", llama, *prompts, *options, "-o", tmp_path / "command", "--quiet")
    opening = {key: settings.pop(key) for key in ("random_init", "threads") if key in settings}
    if opening.get("random_init"):
        opening["seed"] = settings.pop("seed")
    with krylens.open(llama, **opening) as model:
        run = model.align(PROMPTS, **settings, output=tmp_path / "package", progress=False)
    assert run.path == tmp_path / "package"
    files = sorted(path.name for path in (tmp_path / "command").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "package").iterdir())
    for name in files:
        written, expected = ((tmp_path / folder / name).read_bytes() for folder in ("package", "command"))
        if name == "result.json":
            assert lasting(json.loads(written)) == lasting(json.loads(expected))
        else:
            assert written == expected, name


def test_texts(trained: pathlib.Path, command: Callable[..., None], tmp_path: pathlib.Path) -> None:
    texts = ["one two", "three – vier"]
    command("align", trained, "--prompt", texts[0], "--prompt", texts[1], "--top", 3, "-o", tmp_path / "run", "--quiet")
    with krylens.open(trained) as model:
        run = model.align(texts, top=3, progress=False)
        assert [model.tokenize(text).tolist() for text in texts] == [prompt["token_ids"] for prompt in run.prompts]
        one = model.align(texts[1], top=3, progress=False)
    assert run.texts == texts and one.texts == texts[1:]
    stored = krylens.load(tmp_path / "run")
    np.testing.assert_array_equal(run.singular_values, stored.singular_values)


def test_a_temporary_folder_lasts_as_long_as_its_run(model: krylens.Model) -> None:
    run = model.align(PROMPTS, top=2, progress=False)
    path, arrays = run.path, run.triplets(0, 1)
    assert path.is_dir() and "llama" in repr(run)
    del run
    assert not path.exists() and arrays.U.shape == (24, 2)


def test_a_run_is_resumed_and_another_is_refused(model: krylens.Model, tmp_path: pathlib.Path) -> None:
    first = model.align(PROMPTS, top=2, output=tmp_path / "run", progress=False)
    written = (tmp_path / "run/result.json").read_bytes()
    again = model.align(PROMPTS, top=2, output=tmp_path / "run", progress=False)
    assert again.singular_values.tolist() == first.singular_values.tolist()
    assert (tmp_path / "run/result.json").read_bytes() == written
    with pytest.raises(krylens.Error, match="top"):
        model.align(PROMPTS, top=3, output=tmp_path / "run", progress=False)


def test_an_interrupted_run_is_continued(model: krylens.Model, tmp_path: pathlib.Path) -> None:
    def stop(phase: str, done: int, total: int, left: Any) -> None:
        if done >= 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.align(PROMPTS, top=2, output=tmp_path / "run", progress=stop)
    with pytest.raises(krylens.RunError, match="has not ended"):
        krylens.load(tmp_path / "run")
    run = model.align(PROMPTS, top=2, output=tmp_path / "run", progress=False)
    whole = model.align(PROMPTS, top=2, progress=False)
    np.testing.assert_array_equal(run.singular_values, whole.singular_values)
    np.testing.assert_array_equal(run.coupling().per_prompt, whole.coupling().per_prompt)


@pytest.mark.parametrize("prompts, settings, words", [
    (None, {}, "prompt"), ([], {}, ""), ("text", {}, "tokenizer"), (["text", [1]], {}, "one or the other"), ([[]], {}, "token_ids"),
    ([[999]], {}, "999"), ([[-1]], {}, "-1"), ([[1.5]], {}, "token_ids"), ([[1]], {"top": 25}, "top"), ([[1]], {"kind": "x"}, "kind"),
    ([[1]], {"top": 4, "ranks": [5]}, "rank"), ([[1]], {"layers": [4]}, "4"), ([[1]], {"tokens": 7}, "token"),
    ([[1]], {"max_memory": 1}, "memory"), ([[1]], {"output": ""}, ""), ("a\0b", {}, ""), ("\ud800", {}, "settings")])
def test_runs_that_are_refused(model: krylens.Model, prompts: Any, settings: Dict[str, Any], words: str) -> None:
    with pytest.raises(krylens.Error, match=words):
        model.align(prompts, progress=False, **settings)


def test_one_prompt_of_token_ids(model: krylens.Model) -> None:
    for ids in ([1, 2, 3], np.array([1, 2, 3]), (1, 2, 3), range(1, 4)):
        assert model.align(ids, top=2, progress=False).prompts[0]["token_ids"] == [1, 2, 3]
