#!/usr/bin/env python3
"""Make Fixtures/quantized/NAME: a tiny Llama in some formats of quantised weights, and what its dequantised weights give.

Needs torch, transformers and safetensors; Tests/CheckpointTests/quantization.py has the formats.
"""
import json
import pathlib
import shutil
import sys

import torch
from safetensors.torch import save_file
from transformers import LlamaConfig

from reference import LLAMA, expectations, lively_weights, token_ids, write_json

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE.parent / "CheckpointTests"))

from quantization import FORMATS  # noqa: E402

NAMES = [
    "fp8-ragged", "fp8-rows", "llm-int8", "mxfp4-packed", "int4-zeros", "awq", "gptq-ordered",
    "nf4-nested"]
# Alone in its format, as modules are that a quantiser is told to leave.
PLAIN = "model.layers.1.mlp.up_proj"


def make(name, seed):
    quantize, quantization = FORMATS[name]
    folder = HERE / "Fixtures" / "quantized" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config = LlamaConfig(
        vocab_size=37, bos_token_id=1, eos_token_id=2, max_position_embeddings=64, hidden_size=32,
        num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8,
        intermediate_size=64)
    state = lively_weights(config, LLAMA, seed)
    stored = {}
    for key, value in state.items():
        if "_proj" not in key or key.startswith(PLAIN):
            stored[key] = value
            continue
        tensors, state[key] = quantize(key.removesuffix(".weight"), value)
        stored |= tensors
    save_file(
        {key: value.contiguous() for key, value in stored.items()}, folder / "model.safetensors",
        metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    ids = token_ids(config, seed, 9)
    expected, _, _ = expectations(config, LLAMA, state, {"input_ids": torch.tensor([ids])}, (3, 7))
    write_json(folder / "expected.json", {"model_type": "llama", "token_ids": ids} | expected)
    config.architectures, config.dtype = ["LlamaForCausalLM"], "bfloat16"
    written = json.loads(config.to_json_string()) | {"quantization_config": quantization}
    write_json(folder / "config.json", dict(sorted(written.items())))


for seed, name in enumerate(NAMES, 501):
    make(name, seed)
