#!/usr/bin/env python3
"""Writes Fixtures/initialisation.json: how transformers initialises every tensor of every fixture.

Needs torch, transformers, safetensors and gguf. The initialisers of transformers are run with functions in place of
torch's that write the deviation they were asked for, marked, instead of numbers of that deviation; so what is left in a
tensor says how it would have been drawn, without sampling. Of other distributions they write the number of a kind.
Fixtures/README.md says what is in the file.
"""
import contextlib
import copy
import json
import math
import pathlib
import re
import shutil
import sys
import tempfile

import gguf
import numpy as np
import torch
from safetensors.torch import save_file
from transformers import initialization

import make_family_fixtures
import make_fixtures
import make_gguf
from reference import LLAMA, stored_tensors

FIXTURES = pathlib.Path(__file__).parent / "Fixtures"

# Keys that a checkpoint might have, with other values than the defaults.
CHANGED = {"opt": {"init_std": 0.07}, "bart": {"init_std": 0.07}, "t5": {"initializer_factor": 0.5}}
OTHERS = {"initializer_range": 0.05}

# Kinds of initialisation beyond a deviation; a tensor of such a kind contains −FIRST_KIND minus its index here.
# Deviations are multiplied by this, far below the kinds and all constants.
KINDS, FIRST_KIND = [], 10_000
# Deviations are written times this, far below the kinds and all constants.
MARK = -1e15


def fill(tensor, value):
    with torch.no_grad():
        return tensor.fill_(value)


def fill_with_kind(tensor, kind):
    if kind not in KINDS:
        KINDS.append(kind)
    return fill(tensor, -FIRST_KIND - KINDS.index(kind))


def rounded(x):
    return float(f"{x:.6g}")  # GGUF stores it in single precision


@contextlib.contextmanager
def recording(share):
    """In this context, normal numbers become their marked deviation or kind, uniform ones this share of their range."""

    def normal(tensor, mean=0.0, std=1.0, a=-math.inf, b=math.inf, **_):
        assert mean == 0 and a == -b
        # A distant limit has no effect.
        if b > 10 * std:
            return fill(tensor, MARK * std)
        return fill_with_kind(tensor, {"deviation": rounded(std), "limit": rounded(b)})

    def glorot(tensor, **_):
        inputs, outputs = torch.nn.init._calculate_fan_in_and_fan_out(tensor)
        return fill_with_kind(tensor, {"uniform": rounded(math.sqrt(6 / (inputs + outputs)))})

    def lecun(tensor):
        # Truncation at two deviations leaves 0.8796… of the deviation drawn from.
        inputs, _ = torch.nn.init._calculate_fan_in_and_fan_out(tensor)
        return normal(tensor, std=(s := inputs**-0.5 / 0.87962566103423978), a=-2 * s, b=2 * s)

    def uniform(tensor, a=0.0, b=1.0, **_):
        return fill(tensor, a + share * (b - a))

    def layer(tensor, a=0, **_):
        assert a == math.sqrt(5)
        bound = 1 / math.sqrt(tensor[0].numel())
        return uniform(tensor, -bound, bound)

    drawn = torch.rand, torch.Tensor.uniform_
    torch.rand, torch.Tensor.uniform_ = lambda *shape, **_: torch.full(shape, share), uniform
    ours = {"uniform_": uniform, "kaiming_uniform_": layer, "normal_": normal, "trunc_normal_": normal, "xavier_uniform_": glorot, "lecun_normal_": lecun}
    before = {name: getattr(initialization, name) for name in ours}
    for name, function in ours.items():
        setattr(initialization, name, function)
    try:
        yield
    finally:
        for name, function in before.items():
            setattr(initialization, name, function)
        torch.rand, torch.Tensor.uniform_ = drawn


def state(config, anatomy, stored, share=0.0):
    """Returns the contents of a checkpoint of the untrained model, with deviations in place of numbers."""
    with recording(share):
        model = anatomy.make(copy.deepcopy(config))
    return stored({name: value.detach() for name, value in stored_tensors(model).items()})


def states(config, anatomy, stored):
    """Returns the same with uniform numbers at either end of their range."""
    return [state(config, anatomy, stored, share) for share in (0.0, 1.0)]


def summary(tensors, highest=None):
    """Names, the number of the block left open, by what the tensors are filled with; `highest` are those whose uniform
    numbers are at the other end."""
    kinds = {}

    def add(name, kind):
        pattern = re.sub(r"\.\d+\.", ".#.", name, count=1)
        names = kinds.setdefault(json.dumps(kind), [])
        if pattern not in names:
            names.append(pattern)

    for name, value in sorted(tensors.items()):
        value = torch.as_tensor(value)
        other = value if highest is None else torch.as_tensor(highest[name])
        if not torch.equal(value, other):
            low, high = value.flatten()[0].item(), other.flatten()[0].item()
            assert (value == low).all() and (other == high).all(), name
            low, high = sorted((low, high))
            add(name, {"low": float(f"{low:.6g}"), "high": float(f"{high:.6g}")})
            continue
        if name.endswith(("A_log", "ssm_a")):
            add(name, {"values": [float(f"{x:.7g}") for x in value.flatten().tolist()]})
            continue
        rows = value.reshape(len(value) if value.dim() else 1, -1)
        usual = rows[-1, 0].item() if (rows[-1] != 0).any() else rows[0, 0].item()
        zero = [i for i, row in enumerate(rows) if usual != 0 and not row.any()]
        assert len(zero) <= 1 and all((r == usual).all() for i, r in enumerate(rows) if i not in zero), name
        kind = {"constant": float(str(np.float32(usual)))}
        if usual <= -2 * FIRST_KIND:
            kind = {"deviation": rounded(usual / MARK)}
        elif usual <= -FIRST_KIND:
            kind = dict(KINDS[round(-usual) - FIRST_KIND])
        if zero:
            kind["zero_row"] = zero[0]
        add(name, kind)
    every = [name for names in kinds.values() for name in names]
    assert len(every) == len(set(every)), "blocks differ"
    return [json.loads(kind) | {"names": names} for kind, names in kinds.items()]


def in_gguf(name, config, tensors):
    """Returns the tensors of the fixture's GGUF file, made from these."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / name / "model.gguf"
        path.parent.mkdir()
        tensors = {k: v.to(torch.float32).contiguous() for k, v in tensors.items()}
        if name in make_fixtures.CASES:
            make_fixtures.write_gguf(path, config, tensors, name)
        else:
            shutil.copy(FIXTURES / name / "config.json", path.parent)
            save_file(tensors, path.parent / "model.safetensors")
            make_gguf.FIXTURES = pathlib.Path(folder)
            make_gguf.make(name)
            path = next(path.parent.glob("*.gguf"))
        found = gguf.GGUFReader(path).tensors
        return {t.name: np.array(t.data) for t in found if not t.name.startswith("rope_f")}


def default_padding(config):
    """Returns the configuration of a GGUF file without a vocabulary."""
    config = copy.deepcopy(config)
    token = type(config)().pad_token_id
    config.pad_token_id = token if token is not None and token < config.vocab_size else None
    return config


def expectation(name, config, anatomy, stored):
    result = {"folder": summary(*states(config, anatomy, stored))}
    keys = CHANGED.get(config.model_type, OTHERS)
    if getattr(config, "vocab_size", None):
        keys = keys | {"pad_token_id": 3}
    changed = copy.deepcopy(config)
    for key, value in keys.items():
        setattr(changed, key, value)
    result |= {"keys": keys, "changed": summary(*states(changed, anatomy, stored))}
    # Falcon-H1's weights include factors there, and nothing says which.
    is_known = config.model_type != "falcon_h1"
    if is_known and (name in make_fixtures.CASES or name in make_gguf.CASES):
        both = states(default_padding(config), anatomy, stored)
        result["gguf"] = summary(*(in_gguf(name, config, tensors) for tensors in both))
    return result


def main():
    """Writes the file for the named fixtures, by default for all."""
    names, path = sys.argv[1:], FIXTURES / "initialisation.json"
    result = json.loads(path.read_text()) if names else {}
    for name, (config, *_) in make_fixtures.CASES.items():
        if not names or name in names:
            result[name] = expectation(name, config, LLAMA, lambda state: state)
    for name, case in make_family_fixtures.cases().items():
        if not names or name in names:
            result[name] = expectation(name, case.config, case.anatomy, case.stored)
    lines = (f"{json.dumps(name)}: {json.dumps(value)}" for name, value in sorted(result.items()))
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
