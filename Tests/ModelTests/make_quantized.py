#!/usr/bin/env python3
"""Writes Fixtures/quantized/NAME: a tiny Llama in some formats of quantised weights, a tiny gpt-oss in its own, and
the results of their dequantised weights.

Needs torch, transformers and safetensors; Tests/CheckpointTests/quantization.py has the formats.
"""
import json
import pathlib
import shutil
import sys

import torch
from safetensors.torch import save_file
from transformers import GptOssConfig, LlamaConfig

from families.gpt_oss import GPT_OSS
from reference import LLAMA, expectations, lively_weights, meta_model, token_ids, write_json

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE.parent / "CheckpointTests"))

from quantization import FORMATS, mxfp4_experts  # noqa: E402

NAMES = [
    "fp8-ragged", "fp8-rows", "llm-int8", "mxfp4-packed", "int4-zeros", "awq", "gptq-ordered",
    "nf4-nested"]
# Separate in its format, like modules that a quantiser is told to skip.
PLAIN = "model.layers.1.mlp.up_proj"


COMMON = dict(
    vocab_size=37, bos_token_id=1, eos_token_id=2, max_position_embeddings=64, hidden_size=32,
    num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8)


def experts(stem, w):
    return mxfp4_experts(stem, w.transpose(1, 2).contiguous())


def make(name, seed, config, anatomy, quantize, quantization, is_quantized):
    folder = HERE / "Fixtures" / "quantized" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    state = lively_weights(config, anatomy, seed)
    stored = {}
    for key, value in state.items():
        if not is_quantized(key):
            stored[key] = value
            continue
        tensors, state[key] = quantize(key.removesuffix(".weight"), value)
        stored |= tensors
    save_file(
        {key: value.contiguous() for key, value in stored.items()}, folder / "model.safetensors",
        metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    ids = token_ids(config, seed, 9)
    inputs = {"input_ids": torch.tensor([ids])}
    expected, _, _ = expectations(config, anatomy, state, inputs, (3, 7))
    head = {"model_type": config.model_type, "token_ids": ids}
    write_json(folder / "expected.json", head | expected)
    config.architectures, config.dtype = [type(meta_model(config, anatomy)).__name__], "bfloat16"
    written = json.loads(config.to_json_string()) | {"quantization_config": quantization}
    write_json(folder / "config.json", dict(sorted(written.items())))


for seed, name in enumerate(NAMES, 501):
    make(
        name, seed, LlamaConfig(**COMMON, intermediate_size=64), LLAMA, *FORMATS[name],
        lambda key: "_proj" in key and not key.startswith(PLAIN))
make(
    "mxfp4-gpt-oss", 520,
    GptOssConfig(
        **COMMON, intermediate_size=32, num_local_experts=3, num_experts_per_tok=2,
        sliding_window=4, experts_implementation="eager",
        rope_parameters=dict(
            rope_type="yarn", rope_theta=150000.0, factor=4.0, truncate=False,
            original_max_position_embeddings=16)),
    GPT_OSS, experts, {"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]},
    lambda key: key.endswith(("experts.gate_up_proj", "experts.down_proj")))
