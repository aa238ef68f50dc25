#!/usr/bin/env python3
"""Make Fixtures/initialisation.json: how transformers initialises every tensor of every fixture.

Needs torch, transformers, safetensors and gguf. The initialisers of transformers are run with functions in place of
torch's that write the deviation they were asked for, negative, instead of numbers of that deviation; so what is left in
a tensor says how it would have been drawn, without sampling. Fixtures/README.md says what is in the file.
"""
import contextlib
import copy
import json
import pathlib
import re
import shutil
import tempfile

import gguf
import numpy as np
import torch
from safetensors.torch import save_file
from transformers import initialization

import make_family_fixtures
import make_fixtures
import make_gguf
from reference import LLAMA

FIXTURES = pathlib.Path(__file__).parent / "Fixtures"

# Keys as a checkpoint might have them, other than the defaults.
CHANGED = {"opt": {"init_std": 0.07}, "t5": {"initializer_factor": 0.5}}
OTHERS = {"initializer_range": 0.05}


@contextlib.contextmanager
def recording():
    """Inside, normal numbers are their deviation, negative."""

    def write(tensor, mean=0.0, std=1.0, **_):
        assert mean == 0
        with torch.no_grad():
            return tensor.fill_(-std)

    before = initialization.normal_, initialization.trunc_normal_
    initialization.normal_ = initialization.trunc_normal_ = write
    try:
        yield
    finally:
        initialization.normal_, initialization.trunc_normal_ = before


def state(config, anatomy, stored):
    """What a checkpoint of the untrained model would hold, deviations in place of numbers."""
    with recording():
        model = anatomy.make(copy.deepcopy(config))
    return stored({name: value.detach() for name, value in model.named_parameters()})


def summary(tensors):
    """Names, the number of the block left open, by what the tensors are filled with."""
    kinds = {}
    for name, value in sorted(tensors.items()):
        value = torch.as_tensor(value)
        rows = value.reshape(value.shape[0], -1)
        usual = rows[-1, 0].item() if (rows[-1] != 0).any() else rows[0, 0].item()
        zero = [i for i, row in enumerate(rows) if usual != 0 and not row.any()]
        assert len(zero) <= 1 and all((r == usual).all() for i, r in enumerate(rows) if i not in zero), name
        usual = float(f"{usual:.6g}")  # GGUF has it in single precision
        kind = {"deviation": -usual} if usual < 0 else {"constant": usual}
        if zero:
            kind["zero_row"] = zero[0]
        pattern = re.sub(r"\.\d+\.", ".#.", name, count=1)
        names = kinds.setdefault(json.dumps(kind), [])
        if pattern not in names:
            names.append(pattern)
    every = [name for names in kinds.values() for name in names]
    assert len(every) == len(set(every)), "blocks differ"
    return [json.loads(kind) | {"names": names} for kind, names in kinds.items()]


def in_gguf(name, config, tensors):
    """The tensors of the fixture's GGUF file, made of these."""
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
    """The configuration of a GGUF file without a vocabulary."""
    config = copy.deepcopy(config)
    token = type(config)().pad_token_id
    config.pad_token_id = token if token is not None and token < config.vocab_size else None
    return config


def expectation(name, config, anatomy, stored):
    result = {"folder": summary(state(config, anatomy, stored))}
    keys = CHANGED.get(config.model_type, OTHERS)
    if getattr(config, "vocab_size", None):
        keys = keys | {"pad_token_id": 3}
    changed = copy.deepcopy(config)
    for key, value in keys.items():
        setattr(changed, key, value)
    result |= {"keys": keys, "changed": summary(state(changed, anatomy, stored))}
    if name in make_fixtures.CASES or name in make_gguf.CASES:
        tensors = state(default_padding(config), anatomy, stored)
        result["gguf"] = summary(in_gguf(name, config, tensors))
    return result


def main():
    result = {
        name: expectation(name, config, LLAMA, lambda state: state)
        for name, (config, *_) in make_fixtures.CASES.items()
    }
    for name, case in make_family_fixtures.cases().items():
        result[name] = expectation(name, case.config, case.anatomy, case.stored)
    lines = (f"{json.dumps(name)}: {json.dumps(value)}" for name, value in sorted(result.items()))
    (FIXTURES / "initialisation.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
