#!/usr/bin/env python3
"""Writes Fixtures/: tiny random checkpoints of the Llama family, rotary settings, and their expected results.

Needs torch, transformers, safetensors and gguf. `make_fixtures.py` writes every fixture again, byte for byte;
Fixtures/README.md says what is in them.

reference.py computes the expectations; make_family_fixtures.py writes those of the other families.
"""
import json
import pathlib
import shutil
import sys

import gguf
import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoConfig, LlamaConfig, MistralConfig
from transformers import modeling_rope_utils
from transformers.models.llama import modeling_llama

from make_gguf import finish, neighbours
from reference import (
    LLAMA, couplings, expectations, lifted, lively_weights, token_ids, trajectories, write_json)

FIXTURES = pathlib.Path(__file__).parent / "Fixtures"


# -------------------------------------------------------------------------------------------- files


def write_configs(folder, config, dtype="float32"):
    """Writes config.json as transformers 5 spells it, config.published.json as most published checkpoints do."""
    new = json.loads(config.to_json_string(use_diff=False))
    kept = (
        "architectures attention_bias bos_token_id eos_token_id head_dim hidden_act hidden_size "
        "intermediate_size max_position_embeddings mlp_bias model_type num_attention_heads num_hidden_layers "
        "num_key_value_heads rms_norm_eps rope_parameters sliding_window tie_word_embeddings vocab_size"
    ).split()
    new = {k: new[k] for k in kept if k in new} | {"dtype": dtype, "transformers_version": "5.0.0"}
    write_json(folder / "config.json", dict(sorted(new.items())))

    old = {k: v for k, v in new.items() if k not in ("dtype", "rope_parameters")}
    rope = dict(new["rope_parameters"])
    old["rope_theta"] = rope.pop("rope_theta")
    old["rope_scaling"] = rope if rope["rope_type"] != "default" else None
    old |= {"torch_dtype": dtype, "transformers_version": "4.40.0"}
    if old.get("head_dim") == old["hidden_size"] // old["num_attention_heads"]:
        del old["head_dim"]  # as older files do; the quotient is the default
    write_json(folder / "config.published.json", dict(sorted(old.items())))


def write_shards(folder, state):
    """Writes two shards and their index; the cut falls within a block, as in large checkpoints."""
    names = sorted(state)
    halves = (names[: len(names) // 2], names[len(names) // 2 :])
    index = {"metadata": {"total_size": sum(4 * t.numel() for t in state.values())}, "weight_map": {}}
    for number, half in enumerate(halves, start=1):
        file = f"model-{number:05}-of-{len(halves):05}.safetensors"
        save_file({n: state[n] for n in half}, folder / file, metadata={"format": "pt"})
        index["weight_map"] |= dict.fromkeys(half, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n")


def write_gguf(path, config, state, name):
    """Writes the same weights as a GGUF file of architecture llama, all F32."""
    writer = gguf.GGUFWriter(path, "llama")
    rope = config.rope_parameters
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_name(name)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(float(rope["rope_theta"]))
    writer.add_rope_dimension_count(head_dim)
    writer.add_vocab_size(config.vocab_size)
    if head_dim * config.num_attention_heads != config.hidden_size:
        writer.add_key_length(head_dim)
        writer.add_value_length(head_dim)
    if getattr(config, "sliding_window", None):
        writer.add_sliding_window(config.sliding_window)

    if rope["rope_type"] == "llama3":
        # The divisors of the inverse frequencies: plain ones over scaled ones.
        with lifted():
            scaled, _ = modeling_rope_utils.ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")
        plain = rope["rope_theta"] ** (-np.arange(0, head_dim, 2) / head_dim)
        factors = (plain / scaled.numpy()).astype(np.float32)
        writer.add_tensor(gguf.TENSOR_NAMES[gguf.MODEL_TENSOR.ROPE_FREQS] + ".weight", factors)

    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for key in sorted(state):
        value = state[key].numpy()
        for projection, count in heads.items():
            if projection in key:
                value = neighbours(value, count)
        target = names.get_name(key, try_suffixes=(".weight", ".bias"))
        assert target, key
        writer.add_tensor(target, np.ascontiguousarray(value))
    finish(writer)


# ----------------------------------------------------------------------------------------- fixtures


def rope(theta, **scaling):
    return {"rope_type": "default", "rope_theta": theta} | scaling


COMMON = dict(vocab_size=61, hidden_act="silu", bos_token_id=1, eos_token_id=2)

# name: (config, seed, (input token, output token) of the cross Jacobians, number of tokens)
CASES = {
    "llama": (
        LlamaConfig(
            **COMMON, hidden_size=24, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
            head_dim=6, intermediate_size=44, max_position_embeddings=64, rms_norm_eps=1e-5,
            rope_parameters=rope(10000.0), tie_word_embeddings=False),
        11, (3, 7), 9),
    "llama3-rope": (
        # 12 dimensions per head: rotary wavelengths below, between and above the two bounds.
        LlamaConfig(
            **COMMON, hidden_size=24, num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=1,
            head_dim=12, intermediate_size=36, max_position_embeddings=512, rms_norm_eps=1e-5,
            rope_parameters=rope(
                20000.0, rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                original_max_position_embeddings=64),
            tie_word_embeddings=False),
        23, (1, 9), 12),
    "mistral": (
        # Every token sees itself and the 4 before it; the cross pair lies just inside the window.
        MistralConfig(
            **COMMON, hidden_size=24, num_hidden_layers=3, num_attention_heads=3, num_key_value_heads=1,
            head_dim=8, intermediate_size=40, max_position_embeddings=64, rms_norm_eps=1e-6,
            rope_parameters=rope(10000.0), sliding_window=5, tie_word_embeddings=False),
        37, (7, 11), 12),
    "llama-biased": (
        LlamaConfig(
            **COMMON, hidden_size=24, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4,
            head_dim=6, intermediate_size=32, max_position_embeddings=64, rms_norm_eps=1e-6,
            rope_parameters=rope(500.0), attention_bias=True, mlp_bias=True, tie_word_embeddings=True),
        41, (0, 5), 8),
    "odd": (
        LlamaConfig(
            **COMMON, hidden_size=20, num_hidden_layers=4, num_attention_heads=1, num_key_value_heads=1,
            head_dim=14, intermediate_size=27, max_position_embeddings=64, rms_norm_eps=1e-4,
            rope_parameters=rope(1000.0), tie_word_embeddings=False),
        53, (2, 6), 7),
}


def make(name):
    config, seed, cross, length = CASES[name]
    folder = FIXTURES / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config.architectures = [{"llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM"}[config.model_type]]
    state = lively_weights(
        config, LLAMA, seed, rounded_to=torch.bfloat16 if name == "llama" else torch.float32)

    write_configs(folder, config)
    for spelling in ("config.json", "config.published.json"):
        read = AutoConfig.for_model(**json.loads((folder / spelling).read_text()))
        assert read.rope_parameters == config.rope_parameters, (spelling, read.rope_parameters)
    if name == "llama3-rope":
        write_shards(folder, state)
    else:
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    if name == "llama":
        (folder / "bf16").mkdir()
        write_configs(folder / "bf16", config, dtype="bfloat16")
        save_file(
            {k: v.to(torch.bfloat16) for k, v in state.items()},
            folder / "bf16" / "model.safetensors", metadata={"format": "pt"})
    write_gguf(folder / "model.gguf", config, state, name)

    ids = token_ids(config, seed, length)
    expected, depth, states = expectations(
        config, LLAMA, state, {"input_ids": torch.tensor([ids])}, cross)
    head = {"family": config.model_type, "model_type": config.model_type, "token_ids": ids}
    write_json(folder / "expected.json", head | expected | couplings(depth) | trajectories(states))


# ------------------------------------------------------------------------------------------- rotary

YARN = dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=2048)
LLAMA3 = dict(
    rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
    original_max_position_embeddings=8192)
LONGROPE = dict(
    rope_type="longrope", rope_theta=10000.0, original_max_position_embeddings=64,
    short_factor=[1.0 + i / 50 for i in range(16)], long_factor=[1.0 + i * i / 9 for i in range(16)])

# Settings of the kinds of scaling: (name, max_position_embeddings, rope_parameters), for heads of 32.
ROTARY = [
    ("default", 2048, dict(rope_type="default", rope_theta=10000.0)),
    ("linear", 2048, dict(rope_type="linear", rope_theta=10000.0, factor=2.5)),
    ("dynamic", 64, dict(rope_type="dynamic", rope_theta=10000.0, factor=2.0)),
    ("dynamic steep", 100, dict(rope_type="dynamic", rope_theta=500.0, factor=7.5)),
    ("llama3", 131072, LLAMA3),
    ("llama3 at its own length", 4096, {k: v for k, v in LLAMA3.items() if not k.startswith("original")}),
    ("llama3 wide", 131072, LLAMA3 | dict(low_freq_factor=0.5, high_freq_factor=40.0, factor=32.0)),
    ("yarn", 8192, YARN),
    ("yarn untruncated", 8192, YARN | dict(truncate=False)),
    ("yarn betas", 8192, YARN | dict(beta_fast=20.0, beta_slow=3.0)),
    ("yarn narrow", 8192, YARN | dict(beta_fast=1.01, beta_slow=1.0, truncate=False)),
    ("yarn attention factor", 8192, YARN | dict(attention_factor=0.7)),
    ("yarn mscale", 8192, YARN | dict(mscale=0.707, mscale_all_dim=1.3)),
    ("yarn one mscale", 8192, YARN | dict(mscale=0.707)),
    ("yarn shrinking", 2048, YARN | dict(factor=0.5)),
    ("yarn by lengths", 16384, {k: v for k, v in YARN.items() if k != "factor"} | dict(factor=None)),
    ("yarn small base", 8192, YARN | dict(rope_theta=3.0)),
    ("longrope", 1024, LONGROPE),
    ("longrope at its own length", 64, {k: v for k, v in LONGROPE.items() if not k.startswith("original")}),
    ("longrope factor", 1024, LONGROPE | dict(factor=5.0)),
    ("longrope attention factor", 1024, LONGROPE | dict(attention_factor=1.3)),
]
LENGTHS = (1, 64, 65, 100, 1000)


def make_rotary():
    """Writes rotary.json: frequencies and attention factors at some lengths, for settings as in a config.json."""
    cases = []
    for name, positions, parameters in ROTARY:
        config = LlamaConfig(
            head_dim=32, num_attention_heads=2, hidden_size=64, max_position_embeddings=positions,
            rope_parameters=dict(parameters))
        at_lengths = []
        for length in LENGTHS:
            with lifted(modeling_llama):
                if parameters["rope_type"] == "default":
                    values, scale = modeling_llama.LlamaRotaryEmbedding(config).inv_freq, 1.0
                else:
                    function = modeling_rope_utils.ROPE_INIT_FUNCTIONS[parameters["rope_type"]]
                    values, scale = function(config, "cpu", seq_len=length)
            assert values.dtype == torch.float64
            at_lengths.append({"length": length, "frequencies": values.tolist(), "scale": scale})
        cases.append({
            "name": name, "positions": positions, "rope_parameters": parameters, "at_lengths": at_lengths})
    write_json(FIXTURES / "rotary.json", cases)


if __name__ == "__main__":
    for case in sys.argv[1:] or [*CASES, "rotary"]:
        make_rotary() if case == "rotary" else make(case)
