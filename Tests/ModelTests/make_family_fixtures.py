#!/usr/bin/env python3
"""Writes Fixtures/NAME for every case in families/: a tiny random checkpoint and its expected results.

Needs torch, transformers, safetensors and gguf. `make_family_fixtures.py [NAME…]` writes the named fixtures again, by
default all, byte for byte; Fixtures/README.md says what is in them.
"""
import dataclasses
import importlib
import json
import pathlib
import shutil
import sys
from collections.abc import Callable

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, PreTrainedConfig

import make_gguf
from reference import (
    Anatomy, expectations, lively_weights, meta_model, token_ids, trajectories, write_json)

HERE = pathlib.Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Published:
    """The differences of the family's first published checkpoint from what transformers writes today."""

    # The published keys of config.json, given the current ones.
    config: Callable[[dict], dict] = lambda config: config
    # The prefix of tensor names today, and the published one.
    prefix: tuple[str, str] = ("", "")
    # Tensors that are not weights, under their published names, by shape.
    buffers: dict[str, tuple] = dataclasses.field(default_factory=dict)
    # Whether transformers reads the published configuration as the same model.
    same: bool = True


@dataclasses.dataclass(frozen=True)
class Case:
    """A fixture: a configuration, with weights and prompt drawn from the seed."""

    anatomy: Anatomy
    config: PreTrainedConfig
    seed: int
    # The input and output token of the cross Jacobians.
    cross: tuple[int, int] = (3, 7)
    # The tokens of the prompt.
    length: int = 9
    published: Published = Published()
    # Arguments of the model besides the prompt, by name; expected.json contains them too, an encoder's `input_ids` as
    # `encoder_token_ids`.
    inputs: dict = dataclasses.field(default_factory=dict)
    # The tensors in the form that a checkpoint stores, from the model's parameters.
    stored: Callable[[dict], dict] = lambda state: state


def respelled(config, renamed, **others):
    """Returns a configuration with some keys renamed (None: removed), and some with other values."""
    names = {key: renamed.get(key, key) for key in config}
    return {names[key]: value for key, value in config.items() if names[key] is not None} | others


def older_rotary(config, theta="rope_theta", share="partial_rotary_factor"):
    """Returns `rope_parameters` and `dtype` in the spelling before transformers 5."""
    config = dict(config)
    rope = dict(config.pop("rope_parameters", {}))
    if rope:
        config[theta] = rope.pop("rope_theta")
        if "partial_rotary_factor" in rope:
            config[share] = rope.pop("partial_rotary_factor")
        config["rope_scaling"] = rope if rope["rope_type"] != "default" else None
    config["torch_dtype"] = config.pop("dtype")
    return config | {"transformers_version": "4.30.0"}


def experts_apart(state, parts=("gate_proj", "up_proj", "down_proj"), block="mlp"):
    """Returns separate matrices for every expert, as in published files; `block` is their name of the mixture."""
    stored = {}
    for name, tensor in state.items():
        stem, _, part = name.rpartition(".")
        if not stem.endswith("mlp.experts"):
            is_mixture = f"{name.partition('.mlp.')[0]}.mlp.experts.down_proj" in state
            stored[name.replace(".mlp.", f".{block}.") if is_mixture else name] = tensor
            continue
        stem = stem.replace(".mlp.", f".{block}.")
        for e, matrices in enumerate(tensor):
            if part == "down_proj":
                stored[f"{stem}.{e}.{parts[2]}.weight"] = matrices
            else:
                gate, up = matrices.chunk(2)
                stored[f"{stem}.{e}.{parts[0]}.weight"], stored[f"{stem}.{e}.{parts[1]}.weight"] = gate, up
    return stored


def read_back(config):
    """Returns the keys of a config.json as transformers reads them: infinite numbers have a special spelling."""

    def plain(value):
        if isinstance(value, dict) and "__float__" in value:
            return float(value["__float__"])
        return [plain(v) for v in value] if isinstance(value, list) else value

    return {key: plain(value) for key, value in config.items()}


def spelled(config, case):
    """Writes config.json as transformers does, and in the spelling of the first published checkpoint."""
    config.architectures = [type(meta_model(config, case.anatomy)).__name__]
    config.dtype = "float32"
    new = json.loads(config.to_json_string())
    old = case.published.config(dict(new))
    if case.published.same:
        ignored = {"architectures", "dtype", "transformers_version"}
        read, want = (AutoConfig.for_model(**read_back(c)).to_dict() for c in (old, new))
        different = {k for k in want.keys() - ignored if read.get(k) != want[k]}
        assert not different, {k: (read.get(k), want[k]) for k in different}
    return new, old


def make(name, case):
    folder = HERE / "Fixtures" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config = case.config
    today, published = spelled(config, case)
    write_json(folder / "config.json", dict(sorted(today.items())))
    write_json(folder / "config.published.json", dict(sorted(published.items())))
    state = lively_weights(config, case.anatomy, case.seed)
    stored = {k: v.contiguous() for k, v in case.stored(state).items()}
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})

    inputs = {key: torch.tensor(value) for key, value in case.inputs.items()}
    ids = []
    if case.anatomy.prompt:
        ids = token_ids(config, case.seed, case.length)
        inputs[case.anatomy.prompt] = torch.tensor([ids])
    expected, _, states = expectations(config, case.anatomy, state, inputs, case.cross)
    head = {
        "model_type": config.model_type,
        "published": {
            "model_type": published["model_type"], "prefix": case.published.prefix,
            "buffers": case.published.buffers},
        "token_ids": ids,
    }
    given = {
        "encoder_token_ids" if key == "input_ids" else key: value[0]  # a batch of one
        for key, value in case.inputs.items()
    }
    write_json(folder / "expected.json", head | given | expected | trajectories(states))
    if name in make_gguf.CASES:
        make_gguf.make(name)


def cases():
    """Returns CASES of every module in families/."""
    found = {}
    for path in sorted((HERE / "families").glob("*.py")):
        found |= importlib.import_module(f"families.{path.stem}").CASES
    return found


if __name__ == "__main__":
    sys.modules["make_family_fixtures"] = sys.modules["__main__"]
    every = cases()
    for name in sys.argv[1:] or every:
        make(name, every[name])
