"""Opening models and forming Jacobians: what they say of themselves, and what is refused."""

from __future__ import annotations

import copy
import pathlib
import pickle
from typing import Any, Dict

import numpy as np
import pytest

import krylens
from conftest import FIXTURES


def test_what_a_model_says_of_itself(model: krylens.Model) -> None:
    assert (model.family, model.layers, model.width, model.parameters) == ("llama", 3, 24, 17784)
    assert "llama" in repr(model) and model.info["vocabulary"] == 61 and model.info["stored_types"] == ["F32"]


def test_tokens(trained: pathlib.Path) -> None:
    with krylens.open(trained) as model:
        ids = model.tokenize("one two three")
        assert ids.dtype == np.int64 and ids.ndim == 1 and len(ids) > 0
        assert isinstance(model.token_text(int(ids[-1])), str) and model.token_text(ids[-1]) == model.token_text(int(ids[-1]))
        for bad in (-1, 10**6, 2**63, 1.5, "one", None):
            with pytest.raises(krylens.InvalidArgument):
                model.token_text(bad)  # type: ignore[arg-type]
        for bad in (b"one", 1, None, "a\0b", "\ud800"):
            with pytest.raises(krylens.InvalidArgument, match="text"):
                model.tokenize(bad)  # type: ignore[arg-type]


def test_jacobians_say_what_they_are(model: krylens.Model) -> None:
    J = model.jacobian([1, 2, 3, 4], layer=2)
    assert J.shape == (24, 24) and (J.info["from_layer"], J.info["to_layer"]) == (1, 2)
    assert J.info["token_ids"] == [1, 2, 3, 4] and J.info["from_tokens"] == J.info["to_tokens"] == [3]
    assert J.info["identity_subtracted"] and "24 × 24" in repr(J)
    assert model.jacobian([1, 2, 3, 4]).info["to_layer"] == 3
    assert model.jacobian(np.array([1, 2, 3]), from_layer=0, to_layer="logits", from_token="all").shape == (61, 72)
    assert model.jacobian([1, 2, 3], from_layer=1, logits=(4, 5)).shape == (1, 24)


@pytest.mark.parametrize("family", ["gpt2", "bert", "mamba", "mixtral", "gemma3"])
def test_families(family: str) -> None:
    with krylens.open(FIXTURES / family) as model:
        J = model.jacobian([1, 2, 3], layer=1)
        x, y = np.linspace(-1, 1, J.shape[1]), np.linspace(2, 1, J.shape[0])
        # ⟨J x, y⟩ = ⟨x, Jᵀ y⟩ to some units of float32.
        assert abs((J @ x) @ y - x @ (J.T @ y)) < 1e-5 * np.linalg.norm(J @ x) * np.linalg.norm(y)


@pytest.mark.parametrize("prompt, settings, words", [
    (None, {}, "prompt"), ("text", {}, "tokenizer"), ([], {}, "token_ids"), ([61], {}, "61"), ([-1], {}, "-1"),
    ([1.5], {}, "token_ids"), (["1"], {}, "token_ids"), ([1], {"layer": 0}, "1 to 3"), ([1], {"layer": 4}, "1 to 3"),
    ([1], {"layer": "2"}, "1 to 3"), ([1], {"layer": 1, "to_layer": 2}, "layer"), ([1], {"from_layer": 3, "to_layer": 2}, "layer"),
    ([1], {"to_layer": "end"}, "to_layer"), ([1], {"from_token": 5}, "5"), ([1], {"to_token": "first"}, "to_token"),
    ([1, 2], {"from_token": 1, "to_token": 0}, "token"), ([1], {"head": 4}, "head"), ([1], {"expert": 0}, "expert"),
    ([1], {"site": "norm"}, "site"), ([1], {"precision": "auto"}, "precision"), ([1], {"linearization": "none"}, "linearization"),
    ([1], {"logits": [1]}, "logits"), ([1], {"skip": -1}, "skip"), ([1], {"image": "cat.png"}, ""), (object(), {}, "settings"),
    ([1], {"tied": "yes"}, "tied"), ([10**30], {}, "")])
def test_jacobians_that_are_refused(model: krylens.Model, prompt: Any, settings: Dict[str, Any], words: str) -> None:
    with pytest.raises(krylens.Error, match=words):
        model.jacobian(prompt, **settings)


def test_a_folder_of_text_is_no_model(tmp_path: pathlib.Path) -> None:
    (tmp_path / "notes.txt").write_text("no model")
    for path in (tmp_path, tmp_path / "notes.txt", tmp_path / "missing", "", "no/such-model"):
        with pytest.raises(krylens.Error):
            krylens.open(path)
    (tmp_path / "config.json").write_text("not JSON")
    with pytest.raises(krylens.FailedError, match="config.json"):
        krylens.open(tmp_path)
    for settings in ({"threads": 0}, {"threads": "2"}, {"seed": -1}, {"random_init": 3}):
        with pytest.raises(krylens.InvalidArgument):
            krylens.open(FIXTURES / "llama", **settings)  # type: ignore[arg-type]
    with pytest.raises(krylens.InvalidArgument, match="NUL"):
        krylens.open("a\0b")


def test_nothing_that_is_open_can_be_pickled(model: krylens.Model, jacobian: krylens.Jacobian) -> None:
    for opened in (model, jacobian):
        for keep in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="cannot pickle the (model|Jacobian): .* open it again"):
                keep(opened)
