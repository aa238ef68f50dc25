#!/usr/bin/env python3
"""Writes the GGUF twins of the fixtures of families other than Llama, all F32, as llama.cpp's converter does.

Needs gguf and safetensors. `make_gguf.py [NAME…]` reads Fixtures/NAME and writes, by default for every case below,
- Fixtures/NAME/model.gguf, if GGUF can express everything in config.json, or else
- Fixtures/NAME/altered.gguf and altered.json: the same weights, and the changes that this makes to config.json.
"""
import json
import pathlib
import sys

import gguf
import numpy as np
from safetensors.numpy import load_file

import gguf_recurrent

FIXTURES = pathlib.Path(__file__).parent / "Fixtures"

# Settings that config.json has and GGUF lacks, and their values instead (None: absent), by fixture. Others cannot be
# stored in GGUF at all: BLOOM's sums of normalised streams, Falcon with ALiBi, Phi's norms of heads, a dynamic theta,
# odd rotations.
CASES = {
    "apertus": {},
    "arcee": {},
    "bert": {},
    "bert-bare": {"hidden_act": "gelu"},
    "bloom": {},
    "deepseek_v2": {},
    "deepseek_v3": {},
    "ernie4_5_moe": {},
    "cohere": {},
    "cohere-normed": {"hidden_act": "silu"},
    "cohere2": {},
    "ernie4_5": {},
    "ernie4_5-odd": {"hidden_act": "silu"},
    "falcon": {},
    "falcon-one-norm": {},
    "falcon-two-norms": {},
    "gemma": {},
    "gemma2": {"query_pre_attn_scalar": 6},
    "gemma3": {"layer_types": None, "sliding_window_pattern": 6},
    "gemma4": {},
    "gemma4-mixture": {},
    "gemma4-shared": {},
    "glm4_moe": {},
    "glm": {},
    "glm4": {},
    "glm4-odd": {"hidden_act": "silu"},
    "gpt2": {},
    "gpt2-odd": {
        "activation_function": "gelu_new", "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False},
    "gpt_bigcode": {},
    "gpt_neox": {},
    "gpt_neox-sequential": {"hidden_act": "gelu"},
    "gpt_oss": {"swiglu_limit": 7.0},
    "gptj": {},
    "gptj-odd": {"activation_function": "gelu_new"},
    "granitemoe": {},
    "llama4": {
        "attention_chunk_size": 8192, "floor_scale": 8192, "layer_types": None, "no_rope_layers": None,
        "no_rope_layer_interval": 4},
    "minimax_m2": {},
    "granite": {},
    "granite-odd": {"hidden_act": "silu"},
    "hunyuan_v1_dense": {},
    "hunyuan_v1_dense-odd": {"hidden_act": "silu"},
    "mixtral": {},
    "mixtral-dense": {},
    "mixtral-stacked": {},
    "modernbert": {},
    "mpt": {},
    "mpt-odd": {"attn_config": {"alibi": True}},
    "nemotron": {},
    "nemotron-odd": {"hidden_act": "relu2"},
    "nomic_bert": {},
    "olmo": {},
    "olmo2": {},
    "olmo2-odd": {},
    "olmoe": {},
    "olmo3": {},
    "smollm3": {},
    "exaone4": {},
    "ministral3": {},
    "phi": {},
    "phi3": {},
    "phi3-long": {},
    "phimoe": {"router_jitter_noise": 0.01},
    "phimoe-odd": {
        "router_jitter_noise": 0.01,
        # The factors of prompts longer than the original context, and llama.cpp's own magnitude: √(1 + ln(64/6) / ln
        # 6).
        "rope_parameters": {
            "rope_type": "longrope", "rope_theta": 300.0, "original_max_position_embeddings": 6,
            "short_factor": [1.2, 1.7, 2.0, 4.0], "long_factor": [1.2, 1.7, 2.0, 4.0],
            "short_mscale": 1.5235211988703177, "long_mscale": 1.5235211988703177}},
    "qwen2": {},
    "qwen2-window": {"use_sliding_window": False, "layer_types": None},
    "qwen2_moe": {},
    "qwen3": {},
    "qwen3-odd": {"use_sliding_window": False, "layer_types": None, "hidden_act": "silu"},
    "qwen3_moe": {},
    "seed_oss": {},
    "seed_oss-odd": {"hidden_act": "silu"},
    "stablelm": {},
    "stablelm-parallel": {"hidden_act": "silu"},
    "starcoder2": {},
    "t5": {"relative_attention_max_distance": 128},
    "t5-gated": {},
} | gguf_recurrent.CASES

ARCHITECTURES = {
    "cohere": "command-r", "deepseek_v2": "deepseek2", "deepseek_v3": "deepseek2",
    "ernie4_5_moe": "ernie4_5-moe", "gemma3_text": "gemma3", "gemma4_text": "gemma4", "glm": "chatglm",
    "glm4_moe": "glm4moe", "gpt_bigcode": "starcoder", "gpt_neox": "gptneox", "gpt_oss": "gpt-oss",
    "hunyuan_v1_dense": "hunyuan-dense", "llama4_text": "llama4", "minimax_m2": "minimax-m2",
    "ministral3": "mistral3", "mixtral": "llama", "modernbert": "modern-bert", "nomic_bert": "nomic-bert", "olmo3": "olmo2", "phi": "phi2", "qwen2_moe": "qwen2moe",
    "qwen3_moe": "qwen3moe",
}

# Families in which llama.cpp stores features that rotate together as neighbours.
PERMUTED = (
    "arcee", "granite", "granitemoe", "granitemoehybrid", "ministral3", "mixtral", "olmo", "smollm3")


# Encoders, whose heads the converter leaves out, and the prefixes of their names.
ENCODERS = {"bert": "bert.", "modernbert": "model.", "nomic_bert": "nomic_bert."}

# The number of experts, by family.
EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")


# ------------------------------------------------------------------------------------------- metadata


def first(config, *keys, default=None):
    """Returns the value of the first of these keys that is present."""
    return next((config[k] for k in keys if config.get(k) is not None), default)


def write_sizes(writer, config):
    """Writes sizes and functions; returns (heads, key-value heads, features of a head)."""
    kind = config["model_type"]
    width = first(config, "hidden_size", "n_embd", "d_model")
    heads = first(config, "num_attention_heads", "n_head", "n_heads", "num_heads")
    key_value = first(config, "num_key_value_heads", "num_kv_heads", default=heads)
    if kind == "gpt_bigcode" or kind == "falcon" and not config["new_decoder_architecture"]:
        key_value = 1
    latent = "kv_lora_rank" in config
    if latent:
        key_value = 1
    stated = None if latent else first(config, "head_dim", "d_kv")
    size = stated or width // heads
    layers = first(config, "num_hidden_layers", "n_layer", "n_layers", "num_layers")
    writer.add_block_count(layers + (kind == "glm4_moe"))
    writer.add_context_length(
        first(config, "max_position_embeddings", "n_positions", "max_seq_len", default=512))
    writer.add_embedding_length(width)
    hidden = first(config, "intermediate_size", "n_inner", "ffn_hidden_size", "d_ff")
    if kind != "qwen3_5_moe_text":
        writer.add_feed_forward_length(hidden or 4 * width)
    writer.add_head_count(heads)
    writer.add_head_count_kv(key_value)
    if stated:
        writer.add_key_length(stated)
        writer.add_value_length(stated)
    epsilon = first(
        config, "rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "norm_eps",
        default=1e-5)
    if "rms_norm_eps" in config or kind == "t5":
        writer.add_layer_norm_rms_eps(epsilon)
    if "rms_norm_eps" not in config:
        writer.add_layer_norm_eps(epsilon)
    if not kind.startswith("qwen") and config.get("sliding_window"):
        writer.add_sliding_window(config["sliding_window"])
        if kind in ("olmo3", "exaone4"):
            writer.add_sliding_window_pattern([k == "sliding_attention" for k in config["layer_types"]])
    if count := first(config, *EXPERTS):
        writer.add_expert_count(count)
        writer.add_expert_used_count(first(config, "num_experts_per_tok", "moe_k", "top_k_experts"))
    inner_is_hidden = kind in ("gpt_oss", "minimax_m2")
    if inner := first(config, "moe_intermediate_size", default=hidden if inner_is_hidden else None):
        writer.add_expert_feed_forward_length(inner)
    if config.get("shared_expert_intermediate_size"):
        writer.add_expert_shared_feed_forward_length(config["shared_expert_intermediate_size"])
    if config.get("clip_qkv"):
        writer.add_clamp_kqv(config["clip_qkv"])
    if "use_parallel_residual" in config:
        # For StableLM the converter writes true if config.json does not say.
        writer.add_parallel_residual(config["use_parallel_residual"] or kind == "stablelm")
    return heads, key_value, size


def llama3_factors(rope, size):
    """Returns the divisors of a head's frequencies."""
    frequencies = rope["rope_theta"] ** (-np.arange(0, size, 2) / size)
    turns = rope["original_max_position_embeddings"] * frequencies / (2 * np.pi)
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    blend = np.clip((turns - low) / (high - low), 0, 1)
    return (1 / ((1 - blend) / rope["factor"] + blend)).astype(np.float32)


def write_rotation(writer, config, size):
    """Writes θ, the number of rotated features, and their scaling."""
    rope = config.get("rope_parameters")
    if config.get("rotary_dim"):
        writer.add_rope_dimension_count(config["rotary_dim"])
    if not rope:
        return
    if "sliding_attention" in rope:
        writer.add_rope_freq_base_swa(float(rope["sliding_attention"]["rope_theta"]))
        rope = rope["full_attention"]
    share = rope.get("partial_rotary_factor", 1)
    rotated = config.get("qk_rope_head_dim", int(share * size))
    writer.add_rope_dimension_count(rotated)
    kind, theta = rope["rope_type"], float(rope["rope_theta"])
    if rope.get("alpha"):
        kind, theta = "none", theta * rope["alpha"] ** (size / (size - 2))
    writer.add_rope_freq_base(theta)
    if kind == "none" or config["model_type"] in ("cohere", "cohere2"):
        writer.add_rope_scaling_type(gguf.RopeScalingType.NONE)
    if kind == "llama3":
        writer.add_tensor("rope_freqs.weight", llama3_factors(rope, size))
    original = first(
        config, "original_max_position_embeddings",
        default=rope.get("original_max_position_embeddings"))
    if kind in ("linear", "yarn"):
        writer.add_rope_scaling_type(gguf.RopeScalingType(kind))
        writer.add_rope_scaling_factor(float(rope["factor"]))
    if kind == "yarn":
        if rope.get("attention_factor"):
            writer.add_rope_scaling_yarn_attn_factor(rope["attention_factor"])
        if rope.get("mscale_all_dim"):
            # For latent attention it used to be written differently, and still may be.
            share = 0.1 if "kv_lora_rank" in config else 1
            writer.add_rope_scaling_yarn_log_mul(share * rope["mscale_all_dim"])
        if "beta_fast" in rope:
            writer.add_rope_scaling_yarn_beta_fast(rope["beta_fast"])
            writer.add_rope_scaling_yarn_beta_slow(rope["beta_slow"])
    if rope.get("llama_4_scaling_beta"):
        writer.add_attn_temperature_scale(rope["llama_4_scaling_beta"])
    if original and kind != "llama3":
        writer.add_rope_scaling_orig_ctx_len(original)
    if kind == "longrope":
        scale = config["max_position_embeddings"] / original
        writer.add_rope_scaling_type(gguf.RopeScalingType.LONGROPE)
        writer.add_rope_scaling_attn_factors(float(np.sqrt(1 + np.log(scale) / np.log(original))))
        for name in ("long", "short"):
            writer.add_tensor(
                f"rope_factors_{name}.weight", np.array(rope[f"{name}_factor"], dtype=np.float32))


def write_others(writer, config):
    """Writes the metadata that only one family has."""
    match config["model_type"]:
        case "falcon":
            writer.add_tensor_data_layout("jploski")
        case "mpt":
            attention = config["attn_config"]
            writer.add_max_alibi_bias(float(attention["alibi_bias_max"]))
            if attention["clip_qkv"]:
                writer.add_clamp_kqv(attention["clip_qkv"])
        case "gemma2":
            writer.add_attn_logit_softcapping(config["attn_logit_softcapping"])
            writer.add_final_logit_softcapping(config["final_logit_softcapping"])
        case "t5":
            writer.add_decoder_block_count(config["num_decoder_layers"])
            writer.add_relative_attn_buckets_count(config["relative_attention_num_buckets"])
            writer.add_decoder_start_token_id(config["decoder_start_token_id"])
        case "bert" | "nomic_bert":
            writer.add_causal_attention(False)
        case "modernbert":
            writer.add_causal_attention(False)
            writer.add_sliding_window(config["local_attention"])
            writer.add_sliding_window_pattern(3)
            writer.add_rope_scaling_type(gguf.RopeScalingType.NONE)
            writer.add_vocab_size(config["vocab_size"])
        case "gemma4_text":
            write_gemma4(writer, config)
        case "llama4_text":
            writer.add_vocab_size(config["vocab_size"])
            writer.add_feed_forward_length(config["intermediate_size_mlp"])
            writer.add_expert_feed_forward_length(config["intermediate_size"])
            writer.add_interleave_moe_layer_step(config["interleave_moe_layer_step"])
        case "phimoe":
            writer.add_sliding_window(config["sliding_window"] or 0)
        case "deepseek_v2" | "deepseek_v3":
            rotated = config["qk_rope_head_dim"]
            writer.add_q_lora_rank(config["q_lora_rank"])
            writer.add_kv_lora_rank(config["kv_lora_rank"])
            writer.add_key_length(config["kv_lora_rank"] + rotated)
            writer.add_value_length(config["kv_lora_rank"])
            writer.add_key_length_mla(config["qk_nope_head_dim"] + rotated)
            writer.add_value_length_mla(config["v_head_dim"])
            write_grouped_routing(writer, config, config["model_type"] == "deepseek_v3")
        case "glm4_moe":
            write_grouped_routing(writer, config, True)
            # Some tensors of the block that predicts a further token.
            layers = config["num_hidden_layers"]
            writer.add_nextn_predict_layers(1)
            for name in (f"blk.{layers}.attn_norm.weight", f"blk.{layers}.nextn.eh_proj.weight"):
                writer.add_tensor(name, np.ones(config["hidden_size"], dtype=np.float32))
        case "minimax_m2":
            writer.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
        case "ernie4_5_moe":
            writer.add_interleave_moe_layer_step(config["moe_layer_interval"])
            writer.add_leading_dense_block_count(config["moe_layer_start_index"])
            writer.add_expert_shared_count(config["moe_num_shared_experts"])
        case "granite" | "granitemoe" | "granitemoehybrid":
            writer.add_attention_scale(config["attention_multiplier"])
            writer.add_embedding_scale(config["embedding_multiplier"])
            writer.add_residual_scale(config["residual_multiplier"])
            writer.add_logit_scale(config["logits_scaling"])
        case "cohere" | "cohere2":
            writer.add_logit_scale(config["logit_scale"])


def write_gemma4(writer, config):
    """Writes the sizes of two kinds of blocks, and divisors that keep most of a head fixed in those without a window."""
    slides = [kind == "sliding_attention" for kind in config["layer_types"]]
    layers, shared = len(slides), config["num_kv_shared_layers"]
    own = config["per_layer_config"][str(layers - 1)]
    writer.add_sliding_window_pattern(slides)
    writer.add_shared_kv_layers(shared)
    writer.add_embedding_length_per_layer_input(config["hidden_size_per_layer_input"])
    size, local = own["head_dim"], config["head_dim"]
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_key_length_swa(local)
    writer.add_value_length_swa(local)
    writer.add_rope_dimension_count(size)
    writer.add_rope_dimension_count_swa(local)
    if "num_key_value_heads" in own:
        heads = (own["num_key_value_heads"], config["num_key_value_heads"])
        writer.add_head_count_kv([heads[slide] for slide in slides])
    if config["use_double_wide_mlp"]:
        width = config["intermediate_size"]
        writer.add_feed_forward_length([width if l < layers - shared else 2 * width for l in range(layers)])
    if config["final_logit_softcapping"]:
        writer.add_final_logit_softcapping(config["final_logit_softcapping"])
    rotated = int(size * config["rope_parameters"]["full_attention"]["partial_rotary_factor"] / 2)
    divisors = [1.0] * rotated + [1e30] * (size // 2 - rotated)
    writer.add_tensor("rope_freqs.weight", np.array(divisors, dtype=np.float32))


def write_grouped_routing(writer, config, is_sigmoid):
    """Writes the routing of DeepSeek's models and of similar ones."""
    writer.add_leading_dense_block_count(config["first_k_dense_replace"])
    writer.add_expert_shared_count(config["n_shared_experts"])
    writer.add_expert_weights_scale(config["routed_scaling_factor"])
    writer.add_expert_group_count(config["n_group"])
    writer.add_expert_group_used_count(config["topk_group"])
    if config["norm_topk_prob"]:
        writer.add_expert_weights_norm(True)
    if is_sigmoid:
        writer.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)


# -------------------------------------------------------------------------------------------- tensors


def neighbours(tensor, heads):
    """Reorders rows of q or k (weights or biases) so that features that rotate together are neighbours."""
    halves = tensor.reshape(heads, 2, -1, *tensor.shape[1:])
    return halves.swapaxes(1, 2).reshape(tensor.shape)


def stacked(tensor, key_value, size):
    """Reorders rows of a projection fused by groups of heads as all queries, all keys, all values."""
    groups = tensor.reshape(key_value, -1, size, *tensor.shape[1:])
    parts = (groups[:, :-2], groups[:, -2], groups[:, -1])
    return np.concatenate([part.reshape(-1, *tensor.shape[1:]) for part in parts])


def experts(state, alternating, transposed):
    """Stacks all experts' matrices of a kind in one tensor; they may be `transposed`, and gate and up `alternating`."""
    result, apart = {}, {}
    for name, value in state.items():
        stem, _, part = name.partition(".experts")
        part = part.removeprefix(".")
        stem = stem.replace("block_sparse_moe", "mlp")
        if part.startswith("gate_up_proj"):
            suffix = ".bias" if part.endswith("_bias") else ".weight"
            value = value.swapaxes(1, 2) if transposed and suffix == ".weight" else value
            if alternating:
                gate, up = value[:, ::2], value[:, 1::2]
            else:
                gate, up = np.split(value, 2, axis=1)
            result[f"{stem}.experts.gate_proj{suffix}"] = gate
            result[f"{stem}.experts.up_proj{suffix}"] = up
        elif part.startswith("down_proj"):
            suffix = ".bias" if part.endswith("_bias") else ".weight"
            value = value.swapaxes(1, 2) if transposed and suffix == ".weight" else value
            result[f"{stem}.experts.down_proj{suffix}"] = value
        elif part:
            number, matrix, _ = part.split(".")
            matrix = {"w1": "gate_proj", "w2": "down_proj", "w3": "up_proj"}.get(matrix, matrix)
            apart.setdefault(f"{stem}.experts.{matrix}.weight", {})[int(number)] = value
        else:
            result[name] = value
    return result | {n: np.stack([m[e] for e in sorted(m)]) for n, m in apart.items()}


def latent_keys(state, config):
    """Separates the keys of every head from the values, and transposes them."""
    result, plain = {}, config["qk_nope_head_dim"]
    for name, value in state.items():
        if "kv_b_proj" not in name:
            result[name] = value
            continue
        heads = value.reshape(config["num_attention_heads"], -1, value.shape[-1])
        result[name.replace("kv_b_proj", "k_b_proj")] = heads[:, :plain].swapaxes(1, 2)
        result[name.replace("kv_b_proj", "v_b_proj")] = heads[:, plain:]
    return result


def head_norms(state):
    """Stacks StableLM's norms of heads in one tensor for the queries and one for the keys."""
    result, apart = {}, {}
    for name, value in state.items():
        stem, _, part = name.partition(".norms.")
        if part:
            apart.setdefault(f"{stem}.weight", {})[int(part.split(".")[0])] = value
        else:
            result[name] = value
    return result | {n: np.stack([m[h] for h in sorted(m)]) for n, m in apart.items()}


def curves(writer, state):
    """Writes Apertus's activation parameters as metadata, one number per block; returns the other tensors."""
    for part in ("alpha_n", "alpha_p", "beta", "eps"):
        values = [float(value.item()) for name, value in sorted(state.items()) if name.endswith(f"act_fn.{part}")]
        if values:
            getattr(writer, f"add_xielu_{part}")(values)
    return {name: value for name, value in state.items() if ".act_fn." not in name}


def converted(config, state, heads, key_value, size):
    """Returns the tensors as the converter passes them to the map of names."""
    kind = config["model_type"]
    if kind in gguf_recurrent.KINDS:
        state = gguf_recurrent.prepared(config, state)
    if kind in ("granitemoe", "granitemoehybrid"):
        state = {
            name.replace(".block_sparse_moe.input_linear.weight", ".mlp.experts.gate_up_proj"): value
            for name, value in state.items()}
    if first(config, *EXPERTS) and kind != "gemma4_text":
        state = experts(state, alternating=kind == "gpt_oss", transposed=kind in ("gpt_oss", "llama4_text"))
    state = dict(gguf_recurrent.merged(config, state))
    if "kv_lora_rank" in config:
        state = latent_keys(state, config)
    if kind == "stablelm":
        state = head_norms(state)
    for name, value in state.items():
        if kind in ENCODERS:
            name = name.removeprefix(ENCODERS[kind])
            if name.startswith(("cls.", "pooler.", "decoder.")):
                continue
        if kind == "gemma4_text":
            if name.endswith("layer_scalar") or ".experts." in name:
                name += ".weight"
            block = name.removeprefix("model.layers.").split(".")[0]
            # Not weights by their names: the map does not know them.
            if name.endswith("router.scale"):
                name = f"blk.{block}.ffn_gate_inp.scale"
            if name.endswith("router.per_expert_scale"):
                name = f"blk.{block}.ffn_down_exps.scale"
        if kind == "bloom":
            name = name.removeprefix("transformer.")
        if kind in ("gemma", "gemma2", "gemma3_text"):
            if name == "lm_head.weight":
                continue
            value = value + 1 if name.endswith("norm.weight") else value
        if kind == "nemotron" and name.endswith("norm.weight"):
            value = value + 1
        if kind in PERMUTED and ".q_proj." in name:
            value = neighbours(value, heads)
        if kind in PERMUTED and ".k_proj." in name:
            value = neighbours(value, key_value)
        if kind in ("falcon", "bloom", "gpt_neox") and ".query_key_value." in name:
            value = stacked(value, key_value, size)
        if name.endswith("sinks"):
            name += ".weight"
        if name.endswith("shared_expert_gate.weight"):
            value = value.squeeze()
        if name.endswith("e_score_correction_bias"):
            name, value = name.replace("correction_bias", "correction.bias"), value.squeeze()
        if kind == "gpt2" and name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
            value = value.T
        yield name, value


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def make(name):
    folder = FIXTURES / name
    config = json.loads((folder / "config.json").read_text())
    state = load_file(folder / "model.safetensors")
    kind, changes = config["model_type"], CASES[name]
    # The head of another task is left out as well, and activation parameters are not tensors.
    is_whole = not changes and kind != "apertus" and kind not in ENCODERS
    path = folder / ("model.gguf" if is_whole else "altered.gguf")
    if not is_whole:
        (folder / "altered.json").write_text(json.dumps(changes) + "\n")

    is_recurrent = kind in gguf_recurrent.KINDS
    if is_recurrent:
        config = gguf_recurrent.plain(config)
    architecture = ARCHITECTURES.get(kind) or gguf_recurrent.architecture(config)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name(name)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    sizes = (None, None, None)
    if "num_attention_heads" in config or not is_recurrent:
        sizes = write_sizes(writer, config)
        write_rotation(writer, config, sizes[2])
    else:
        gguf_recurrent.write_without_attention(writer, config)
    write_others(writer, config)
    if is_recurrent:
        gguf_recurrent.write(writer, config)
    layers = first(config, "num_hidden_layers", "n_layer", "n_layers", "num_layers")
    layers = max(layers, config.get("num_decoder_layers", 0))
    arch = next(a for a, n in gguf.MODEL_ARCH_NAMES.items() if n == architecture)
    names = gguf.get_tensor_name_map(arch, layers)
    for key, value in sorted(converted(config, curves(writer, state), *sizes)):
        target = key if key.startswith("blk.") else names.get_name(key, try_suffixes=(".weight", ".bias"))
        assert target, key
        writer.add_tensor(target, np.ascontiguousarray(value))
    finish(writer)


if __name__ == "__main__":
    for case in sys.argv[1:] or CASES:
        make(case)
