"""The GGUF files that llama.cpp's converter writes for recurrent and hybrid families, for make_gguf.py.

Their attention, experts and norms are written as for all other families; the rest is here.
"""
import gguf
import numpy as np

# Settings that config.json has and GGUF lacks, as in make_gguf.CASES.
UNLIMITED = [0.0, {"__float__": "Infinity"}]
CASES = {
    "falcon_h1": {},
    "falcon_h1-normed": {},
    "granitemoehybrid": {"max_position_embeddings": 2**20},
    "granitemoehybrid-odd": {"time_step_limit": UNLIMITED},
    "lfm2": {},
    "lfm2_moe": {},
    "mamba": {},
    "mamba2": {},
    "mamba2-odd": {"hidden_act": "silu", "time_step_limit": UNLIMITED},
    "nemotron_h-dense": {},
    "nemotron_h-experts": {},
    "qwen3_5": {},
    "qwen3_5-odd": {"hidden_act": "silu"},
    "qwen3_5_moe": {},
    "qwen3_next": {},
}

ARCHITECTURES = {
    "falcon_h1": "falcon-h1", "granitemoehybrid": "granitehybrid", "lfm2_moe": "lfm2moe",
    "qwen3_5_text": "qwen35", "qwen3_5_moe_text": "qwen35moe", "qwen3_next": "qwen3next",
}

# Mixers whose in_proj, conv1d and norm are those of Mamba 2.
STATE_SPACES = ("falcon_h1", "granitemoehybrid", "mamba2", "nemotron_h")
DELTA_RULE = ("qwen3_5_text", "qwen3_5_moe_text", "qwen3_next")
# Qwen3.5's value heads are stored group by group in folders, and in turns, one of each group, in GGUF.
TURNS = ("qwen3_5_text", "qwen3_5_moe_text")


def is_mixture(config):
    return "moe" in config.get("layers_block_type", ())


def architecture(config):
    kind = config["model_type"]
    if kind == "nemotron_h" and is_mixture(config):
        return "nemotron_h_moe"
    return ARCHITECTURES.get(kind, kind)


# ------------------------------------------------------------------------------------------- metadata


def plain(config):
    """Returns the configuration under make_gguf's names, with effective sizes."""
    config, kind = dict(config), config["model_type"]
    epsilon = {"lfm2": "norm_eps", "lfm2_moe": "norm_eps"}.get(kind, "layer_norm_epsilon")
    if epsilon in config:
        config["rms_norm_eps"] = config.pop(epsilon)
    if kind == "lfm2" and config["block_auto_adjust_ff_dim"]:
        width, multiple = int(2 * config["intermediate_size"] / 3), config["block_multiple_of"]
        width = int(config["block_ffn_dim_multiplier"] * width)
        config["intermediate_size"] = (width + multiple - 1) // multiple * multiple
    if kind == "nemotron_h":
        config["num_hidden_layers"] = len(config["layers_block_type"])
        if not is_mixture(config):
            for key in ("n_routed_experts", "num_experts_per_tok", "moe_intermediate_size"):
                del config[key]
    return config


def inner(config):
    """Returns a state space's value features, groups of heads, key features of a head, heads, and kernel size."""
    kind, width = config["model_type"], config["hidden_size"]
    if kind == "mamba":
        return config["intermediate_size"], None, config["state_size"], config["time_step_rank"], config["conv_kernel"]
    if kind == "mamba2":
        return (
            config["num_heads"] * config["head_dim"], config["n_groups"], config["state_size"],
            config["num_heads"], config["conv_kernel"])
    if kind == "nemotron_h":
        heads = config["mamba_num_heads"]
        return (
            heads * config["mamba_head_dim"], config["n_groups"], config["ssm_state_size"], heads,
            config["conv_kernel"])
    if kind in DELTA_RULE:
        heads = config["linear_num_value_heads"]
        return (
            heads * config["linear_value_head_dim"], config["linear_num_key_heads"],
            config["linear_key_head_dim"], heads, config["linear_conv_kernel_dim"])
    return (
        config.get("mamba_d_ssm") or config["mamba_expand"] * width, config["mamba_n_groups"],
        config["mamba_d_state"], config["mamba_n_heads"], config["mamba_d_conv"])


def write_without_attention(writer, config):
    """Returns all sizes of Mamba and Mamba 2."""
    writer.add_context_length(2**20)
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(0)
    writer.add_head_count(0)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])


def write(writer, config):
    """Returns the families' metadata besides the sizes of attention and MLPs."""
    kind, layers = config["model_type"], config["num_hidden_layers"]
    if kind in STATE_SPACES + DELTA_RULE + ("mamba",):
        features, groups, state, heads, kernel = inner(config)
        writer.add_ssm_conv_kernel(kernel)
        writer.add_ssm_inner_size(features)
        writer.add_ssm_state_size(state)
        writer.add_ssm_time_step_rank(heads)
        if groups:
            writer.add_ssm_group_count(groups)
    heads = config.get("num_key_value_heads")
    match kind:
        case "mamba":
            writer.add_ssm_dt_b_c_rms(False)
        case "falcon_h1":
            size = config["hidden_size"] // config["num_attention_heads"]
            writer.add_key_length(size)
            writer.add_value_length(size)
        case "lfm2" | "lfm2_moe":
            writer.add_head_count_kv([0 if k == "conv" else heads for k in config["layer_types"]])
            writer.add_shortconv_l_cache(config["conv_L_cache"])
            if kind == "lfm2_moe":
                writer.add_leading_dense_block_count(config["num_dense_layers"])
                writer.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
        case "granitemoehybrid":
            attends = [k == "full_attention" for k in config["layer_types"]]
            writer.add_head_count_kv([heads if a else 0 for a in attends])
            rotates = config["position_embedding_type"] == "rope"
            writer.add_rope_scaling_finetuned(rotates)
            if not rotates:
                writer.add_context_length(2**20)
            writer.add_expert_shared_feed_forward_length(config["shared_intermediate_size"])
            if not config["num_local_experts"]:
                writer.add_expert_count(0)
                writer.add_expert_used_count(0)
        case "nemotron_h":
            kinds = config["layers_block_type"]
            writer.add_head_count_kv([heads if k == "full_attention" else 0 for k in kinds])
            # The size it would have without a key of its own, although nothing rotates.
            writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
            width = config.get("moe_intermediate_size", config["intermediate_size"])
            writer.add_feed_forward_length([width if k in ("mlp", "moe") else 0 for k in kinds])
            if is_mixture(config):
                writer.add_expert_shared_feed_forward_length(
                    config["moe_shared_expert_intermediate_size"])
                writer.add_expert_shared_count(config["n_shared_experts"])
                writer.add_expert_weights_norm(config["norm_topk_prob"])
                writer.add_expert_weights_scale(config["routed_scaling_factor"])
                writer.add_expert_group_count(config["n_group"])
                if config["moe_latent_size"]:
                    writer.add_moe_latent_size(config["moe_latent_size"])
        case _ if kind in DELTA_RULE:
            kinds = config["layer_types"]
            period = kinds.index("full_attention") + 1
            if period > 1:
                writer.add_full_attention_interval(period)
            else:
                writer.add_array(
                    f"{architecture(config)}.attention.recurrent_layers",
                    [k == "linear_attention" for k in kinds])
            if kind in TURNS:
                writer.add_rope_dimension_sections([11, 11, 10, 0])
            if kind == "qwen3_5_text" and period > 1:
                # Some tensors of the block that predicts a further token.
                writer.add_block_count(layers + 1)
                writer.add_nextn_predict_layers(1)
                for name in (f"blk.{layers}.attn_norm.weight", f"blk.{layers}.nextn.eh_proj.weight"):
                    writer.add_tensor(name, np.ones(config["hidden_size"], dtype=np.float32))


# -------------------------------------------------------------------------------------------- tensors


def prepared(config, state):
    """Returns the tensors of recurrent mixers, and others with special names or orders."""
    kind, result = config["model_type"], {}
    for name, value in state.items():
        if name.endswith(".A_log"):
            value = -np.exp(value)
        if name.endswith((".conv1d.weight", ".conv.conv.weight")):
            value = value.squeeze(1)
        if kind in STATE_SPACES:
            if name.endswith((".A_log", ".D")):
                value = value.reshape(-1, 1)
            if name.endswith((".mamba.norm.weight", ".mixer.norm.weight")):
                value = value.reshape(inner(config)[1], -1)
        if name.endswith(".dt_bias"):
            part = "dt" if kind == "nemotron_h" and is_mixture(config) else "dt_proj"
            name = name.replace(".dt_bias", f".{part}.bias")
        if name.endswith(".expert_bias"):
            name += ".bias"
        result[name] = value
    match kind:
        case "falcon_h1":
            return dict(scaled(config, result))
        case "granitemoehybrid":
            return dict(halved(config, result))
        case _ if kind in DELTA_RULE:
            return dict(delta_rule(config, result))
    return result


def scaled(config, state):
    """Returns Falcon-H1's weights times the factors of their inputs and outputs."""
    features, groups, keys, heads, _ = inner(config)
    parts = np.repeat(
        config["ssm_multipliers"],
        [features, features, groups * keys, groups * keys, heads]).astype(np.float32)
    attention, out = config["attention_in_multiplier"], config["attention_out_multiplier"]
    factors = {
        "down_proj": config["mlp_multipliers"][1], "gate_proj": config["mlp_multipliers"][0],
        "k_proj": config["key_multiplier"] * attention, "q_proj": attention, "v_proj": attention,
        "o_proj": out, "out_proj": config["ssm_out_multiplier"],
        "in_proj": config["ssm_in_multiplier"] * parts[:, None],
        "lm_head": config["lm_head_multiplier"], "embed_tokens": config["embedding_multiplier"],
    }
    for name, value in state.items():
        factor = next((f for part, f in factors.items() if f".{part}." in f".{name}"), 1)
        yield name, (value * factor).astype(np.float32)


def halved(config, state):
    """Returns Granite's shared MLP as gate and up, beside experts or in their place."""
    stem = "mlp.shared_experts" if config["num_local_experts"] else "mlp"
    for name, value in state.items():
        block, _, part = name.partition(".shared_mlp.")
        if part == "input_linear.weight":
            yield f"{block}.{stem}.gate_proj.weight", np.split(value, 2)[0]
            yield f"{block}.{stem}.up_proj.weight", np.split(value, 2)[1]
        elif part:
            yield f"{block}.{stem}.down_proj.weight", value
        else:
            yield name, value


def in_turns(tensor, groups, size, axis=0):
    """Reorders the heads along an axis from group by group to one of each group in turn."""
    shape = tensor.shape
    apart = tensor.reshape(*shape[:axis], groups, -1, size, *shape[axis + 1:])
    return apart.swapaxes(axis, axis + 1).reshape(shape)


def delta_rule(config, state):
    """Returns Qwen3-Next's and Qwen3.5's tensors: gains are stored minus 1, except those of the recurrences."""
    features, groups, keys, heads, _ = inner(config)
    size = features // heads
    for name, value in state.items():
        if name.endswith("norm.weight") and not name.endswith("linear_attn.norm.weight"):
            value = value + 1
        if name.endswith("in_proj_qkvz.weight"):
            stem = name.removesuffix("in_proj_qkvz.weight")
            values = heads // groups * size
            parts = np.split(
                value.reshape(groups, -1, value.shape[1]),
                np.cumsum([keys, keys, values]), axis=1)
            q, k, v, z = (part.reshape(-1, value.shape[1]) for part in parts)
            yield f"{stem}in_proj_qkv.weight", np.concatenate([q, k, v])
            yield f"{stem}in_proj_z.weight", z
            continue
        if config["model_type"] in TURNS and ".linear_attn." in name:
            if ".in_proj_qkv." in name or ".conv1d." in name:
                start = 2 * groups * keys
                rest = in_turns(value[start:], groups, size)
                value = np.concatenate([value[:start], rest])
            elif ".in_proj_z." in name:
                value = in_turns(value, groups, size)
            elif name.endswith(("in_proj_a.weight", "in_proj_b.weight", "A_log", "dt_proj.bias")):
                value = in_turns(value, groups, 1)
            elif ".out_proj." in name:
                value = in_turns(value, groups, size, axis=1)
        yield name, value


def merged(config, state):
    """Returns the converter's names of merged experts."""
    for name, value in state.items():
        if config["model_type"] == "lfm2_moe" and ".feed_forward.experts." in name:
            name = name.removeprefix("model.")
            for long, short in {"gate": "w1", "down": "w2", "up": "w3"}.items():
                name = name.replace(f".{long}_proj.", f".{short}.")
        if config["model_type"] == "nemotron_h" and ".mixer.experts." in name:
            name = name.replace("backbone.", "model.").replace(".mixer.", ".mlp.")
        yield name, value


KINDS = STATE_SPACES + DELTA_RULE + ("lfm2", "lfm2_moe", "mamba")
