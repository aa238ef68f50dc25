#!/usr/bin/env python3
"""Make Fixtures/: tiny random checkpoints of the Llama family, rotary settings, and what they must give.

Needs torch, transformers, safetensors and gguf. `make_fixtures.py` writes every fixture again, byte for byte;
Fixtures/README.md says what is in them.

The expectations are those of the modules of transformers themselves, with every number in float64: their float32
islands (norms, softmax, rotary angles) are lifted too. Jacobians are full, spectra come from a dense SVD.
"""
import contextlib
import json
import math
import pathlib
import shutil
import sys

import gguf
import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, MistralConfig
from transformers import modeling_rope_utils
from transformers.models.llama import modeling_llama
from transformers.models.mistral import modeling_mistral

FIXTURES = pathlib.Path(__file__).parent / "Fixtures"
RANKS = (3, 6)


# ------------------------------------------------------------------------------------------ float64


class Lifted:
    """The torch module, where float32 means float64."""

    float32 = float = torch.float64

    def __getattr__(self, name):
        return getattr(torch, name)


@contextlib.contextmanager
def lifted():
    """Inside, what the modules of transformers ask for in float32 they get in float64."""
    modules = (modeling_llama, modeling_mistral, modeling_rope_utils)
    to_float, proxy = torch.Tensor.float, Lifted()
    try:
        for module in modules:
            module.torch = proxy
        torch.Tensor.float = torch.Tensor.double
        yield
    finally:
        for module in modules:
            module.torch = torch
        torch.Tensor.float = to_float


def double_model(config, state):
    """The model of `config` with the weights `state`, in float64. Call inside `lifted()`."""
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").double().eval()
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    assert model.model.rotary_emb.inv_freq.dtype == torch.float64
    return model.requires_grad_(False)


# ------------------------------------------------------------------------------------- expectations


def expectations(model, token_ids, cross):
    """Everything expected.json holds; `cross` is (input token, output token) of the cross Jacobians."""
    blocks, calls = list(model.model.layers), []

    def record(module, args, kwargs):
        calls.append((args[0] if args else kwargs.pop("hidden_states"), kwargs))

    hooks = [b.register_forward_pre_hook(record, with_kwargs=True) for b in blocks]
    output = model(torch.tensor([token_ids]), use_cache=False)
    for hook in hooks:
        hook.remove()
    calls = [(x, {k: v for k, v in kw.items() if k != "hidden_states"}) for x, kw in calls]

    def run(block, x, kwargs):
        y = block(x, **kwargs)
        return y[0] if isinstance(y, tuple) else y

    def attention(block, x, kwargs):
        return x + block.self_attn(hidden_states=block.input_layernorm(x), **kwargs)[0]

    def mlp(block, z, kwargs):
        return z + block.mlp(block.post_attention_layernorm(z))

    def normed(block, x, kwargs):
        return model.model.norm(run(block, x, kwargs))

    last = len(token_ids) - 1

    def jacobian(function, block, x, kwargs, source=last, target=last):
        """Of row `target` of function(X) − X with respect to row `source` of X, all other rows held fixed."""

        def rows(row):
            changed = torch.cat([x[:, :source], row[None, None], x[:, source + 1 :]], dim=1)
            return function(block, changed, kwargs)[0, target]

        full = torch.func.jacrev(rows)(x[0, source])
        return full - torch.eye(full.shape[0], dtype=full.dtype) if source == target else full

    def sigma(matrices):
        return [torch.linalg.svdvals(m).tolist() for m in matrices]

    depth = [jacobian(run, b, x, kw) for b, (x, kw) in zip(blocks, calls)]
    states = [x for x, _ in calls] + [run(blocks[-1], *calls[-1])]  # X⁰ … X^L, before the final norm
    between = [attention(b, x, kw) for b, (x, kw) in zip(blocks, calls)]
    assert torch.allclose(model.lm_head(model.model.norm(states[-1])), output.logits, rtol=1e-12)

    expected = {
        "token_ids": token_ids,
        "last_logits": output.logits[0, -1].tolist(),
        "hidden_norms": [x[0].norm(dim=-1).tolist() for x in states],
        "hidden_last_token": [x[0, -1].tolist() for x in states],
        "sigma_last": sigma(depth),
        "sigma_cross": {
            "input_token": cross[0],
            "output_token": cross[1],
            "sigma": sigma(jacobian(run, b, x, kw, *cross) for b, (x, kw) in zip(blocks, calls)),
        },
        "sigma_attention": sigma(
            jacobian(attention, b, x, kw) for b, (x, kw) in zip(blocks, calls)),
        "sigma_mlp": sigma(
            jacobian(mlp, b, z, kw) for b, z, (_, kw) in zip(blocks, between, calls)),
        "sigma_last_block_normed": sigma([jacobian(normed, blocks[-1], *calls[-1])])[0],
    }
    expected |= couplings(depth)
    expected |= trajectories(torch.stack([x[0] for x in states]))
    return expected


def couplings(jacobians):
    """1 − m for every pair (row = Jacobian i, column = basis of j), frobenius normalisation."""
    factors = [torch.linalg.svd(j) for j in jacobians]
    result = {}
    for rank in RANKS:
        bases = [(u[:, :rank], s[:rank], vt[:rank].T) for u, s, vt in factors]
        for form in ("", "crossed_"):
            for sign in ("signed", "abs"):
                table = []
                for j_i, (_, s_i, _) in zip(jacobians, bases):
                    row = []
                    for u, _, v in bases:
                        a = v.T @ j_i @ u if form else u.T @ j_i @ v
                        a = a.abs() if sign == "abs" else a
                        row.append(1 - float((a - s_i.diag()).norm() / s_i.norm()))
                    table.append(row)
                result[f"coupling_{form}{sign}_K{rank}"] = table
    return result


def trajectories(states):
    """Of states (L + 1, tokens, d): line-shape score, growth and expodistance of every token."""
    steps = states[1:] - states[:-1]
    units = steps / steps.norm(dim=-1, keepdim=True)
    growth = states.norm(dim=-1).log().diff(dim=0)  # (L, tokens)
    return {
        "line_shape_score": (len(units) / units.sum(0).norm(dim=-1)).tolist(),
        "log_norm_growth": growth.tolist(),
        "growth": growth.mean(0).tolist(),
        "expodistance": (growth.var(0, correction=0) / growth.mean(0) ** 2).tolist(),
    }


# ------------------------------------------------------------------------------------------ weights


def lively_weights(config, seed, rounded_to=torch.float32):
    """Random weights under which a forgotten gain, bias or transposition shows; exact in `rounded_to`."""
    with torch.device("meta"):
        shapes = AutoModelForCausalLM.from_config(config).state_dict()
    generator = np.random.default_rng(seed)
    state = {}
    for name in sorted(shapes):
        shape = tuple(shapes[name].shape)
        noise = generator.standard_normal(shape)
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        if "norm" in name:
            value = np.where(generator.random(shape) < 0.2, -0.6, 1.3) + 0.4 * noise
        elif name.endswith("bias"):
            value = 0.5 * noise
        elif "embed_tokens" in name:
            value = 0.9 * noise
        else:
            value = 1.2 * noise / math.sqrt(shape[1])
        state[name] = torch.tensor(value).to(rounded_to).to(torch.float32)
    return state


# -------------------------------------------------------------------------------------------- files


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1 if "config" in path.name else None) + "\n")


def write_configs(folder, config, dtype="float32"):
    """config.json as transformers 5 spells it, config.old.json as published checkpoints mostly do."""
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
    write_json(folder / "config.old.json", dict(sorted(old.items())))


def write_shards(folder, state):
    """Two shards and their index; the cut falls inside a block, as it does in large checkpoints."""
    names = sorted(state)
    halves = (names[: len(names) // 2], names[len(names) // 2 :])
    index = {"metadata": {"total_size": sum(4 * t.numel() for t in state.values())}, "weight_map": {}}
    for number, half in enumerate(halves, start=1):
        file = f"model-{number:05}-of-{len(halves):05}.safetensors"
        save_file({n: state[n] for n in half}, folder / file, metadata={"format": "pt"})
        index["weight_map"] |= dict.fromkeys(half, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n")


def gguf_rows(tensor, heads):
    """Rows of q or k (weights or biases) in the order of GGUF's llama: rotary partners side by side."""
    half = tensor.shape[0] // heads // 2
    return tensor.reshape(heads, 2, half, *tensor.shape[1:]).swapaxes(1, 2).reshape(tensor.shape)


def write_gguf(path, config, state, name):
    """The same weights as a GGUF file of architecture llama, all F32."""
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
        # What the inverse frequencies are divided by: plain ones over scaled ones.
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
                value = gguf_rows(value, count)
        target = names.get_name(key, try_suffixes=(".weight", ".bias"))
        assert target, key
        writer.add_tensor(target, np.ascontiguousarray(value))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


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
        # 12 dimensions a head: rotary wavelengths on all three sides of the two bounds.
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
        config, seed, rounded_to=torch.bfloat16 if name == "llama" else torch.float32)

    write_configs(folder, config)
    for spelling in ("config.json", "config.old.json"):
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

    token_ids = np.random.default_rng(seed + 1000).integers(3, config.vocab_size, length).tolist()
    token_ids[-2] = token_ids[1]  # a token twice, so that positions matter
    with lifted():
        expected = expectations(double_model(config, state), token_ids, cross)
    write_json(folder / "expected.json", {"family": config.model_type, "model_type": config.model_type} | expected)


# ------------------------------------------------------------------------------------------- rotary

YARN = dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=2048)
LLAMA3 = dict(
    rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
    original_max_position_embeddings=8192)

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
]
LENGTHS = (1, 64, 65, 100, 1000)


def make_rotary():
    """rotary.json: for settings as a config.json has them, frequencies and attention factor at some lengths."""
    cases = []
    for name, positions, parameters in ROTARY:
        config = LlamaConfig(
            head_dim=32, num_attention_heads=2, hidden_size=64, max_position_embeddings=positions,
            rope_parameters=dict(parameters))
        at_lengths = []
        for length in LENGTHS:
            with lifted():
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
