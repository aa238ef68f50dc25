#!/usr/bin/env python3
"""Writes Fixtures/keys.json: what transformers computes if one key of a fixture's config.json is changed.

Needs torch, transformers and safetensors. The keys are all that the family's code and the code that all families share
ask a configuration for, whatever the file says of them; each is taken away, set to null, and set to one or two other
values. README.md in Fixtures/ says what is in the file.
"""
import contextlib
import dataclasses
import importlib
import json
import logging
import pathlib
import re
import sys
import tempfile
import warnings

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, configuration_utils, masking_utils
from transformers.activations import ACT2FN

import make_family_fixtures
from reference import LLAMA, lifted

FIXTURES = pathlib.Path(__file__).parent / "Fixtures"
# The plain form of every family, and forms that use other parts of its code.
NAMES = (
    "llama llama3-rope mistral qwen2 qwen2-window qwen3 gemma gemma2 gemma3 olmo olmo2 olmo3 smollm3 ministral "
    "ministral3 exaone4 phi3 phi3-long mixtral gpt_oss qwen2_moe qwen3_moe olmoe deepseek_v2 deepseek_v3 glm4_moe "
    "llama4 granitemoe minimax_m2 ernie4_5_moe phimoe gpt2 gpt_neo gpt_neox gpt_neox-sequential gptj phi phi- "
    "normed opt opt-norm-after bloom bloom-normed mpt falcon falcon-two-norms falcon-alibi stablelm stablelm- "
    "parallel t5 t5-gated bert bert-bare vit vit-odd roberta xlm-roberta distilbert electra mpnet nomic_bert "
    "nomic_bert-odd modernbert modernbert-odd clip_text_model clip_vision_model siglip_vision_model dinov2 "
    "dinov2-gated dinov2_with_registers bart bart-bare granite glm glm4 cohere cohere-normed cohere2 seed_oss "
    "ernie4_5 gpt_bigcode gpt_bigcode-odd starcoder2 arcee nemotron helium hunyuan_v1_dense nanochat apertus "
    "apertus-odd persimmon codegen lfm2 lfm2_moe nemotron_h qwen3_5 qwen3_5_moe qwen3_next gemma4 gemma4-mixture "
    "gemma4-shared mamba mamba2 falcon_h1 granitemoehybrid"
).split()

# Keys that only affect how a model is run or named, or how its output is used; not tested.
LEFT_OUT = {
    "model_type", "architectures", "transformers_version", "dtype", "torch_dtype", "name_or_path", "id2label",
    "label2id", "num_labels", "return_dict", "output_attentions", "output_hidden_states", "problem_type",
    "auto_map", "base_config_key", "sub_configs", "per_layer_config", "is_heterogeneous", "experts_implementation",
    "per_layer_attributes", "base_model_tp_plan", "base_model_pp_plan", "base_model_fsdp_plan", "base_model_ep_plan",
    "return_unused_kwargs", "quantization_config",
    # Keys for the start of training; the reference implementation also divides matrices that it has just loaded.
    "rescale_prenorm_residual",
}
# Keys known from other families, or from files older than the code.
GENERIC = {
    "is_causal": True, "is_decoder": None, "add_cross_attention": None, "is_encoder_decoder": None,
    "cross_attention_hidden_size": None, "tie_encoder_decoder": None, "tie_word_embeddings": None,
    "chunk_size_feed_forward": 0, "pruned_heads": {}, "use_bidirectional_attention": None, "head_dim": None,
    "attention_bias": None, "mlp_bias": None, "use_bias": None, "qkv_bias": None, "qk_layernorm": None,
    "sliding_window": None, "use_sliding_window": None, "layer_types": None, "pretraining_tp": 1,
    "attention_chunk_size": None, "partial_rotary_factor": 1.0, "rotary_pct": 1.0, "rope_theta": 10000.0,
    "rope_scaling": None, "rope_parameters": None, "hidden_act": None, "layer_norm_eps": 1e-5,
    "layer_norm_epsilon": 1e-5, "rms_norm_eps": 1e-6, "embedding_size": None, "position_embedding_type": "absolute",
}
ROTARY = [
    {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0},
    {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0},
    {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5},
    {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 2.0, "original_max_position_embeddings": 8},
]
# Keys that change something only together, by fixture.
TOGETHER = {
    "bloom": [{"slow_but_exact": True, "pretraining_tp": 2}, {"slow_but_exact": True, "pretraining_tp": 1}],
    # One rotated feature of a head, and three.
    **{
        name: [
            {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": share}}
            for share in (1.1 / size, 3.1 / size)]
        for name, size in {"stablelm": 10, "phi": 10, "phi-normed": 8, "gpt_neox": 16, "phi3": 10, "phi3-long": 8}.items()
    },
    "qwen2-window": [{"use_sliding_window": False, "layer_types": None}],
    "gemma2": [{"layer_types": None, "sliding_window": 2}],
}
# Keys for which a word is not an activation.
WORDS = {
    "position_embedding_type": ["relative_key"], "norm_type": ["layernorm", "rmsnorm"],
    "feed_forward_proj": ["gelu", "gated-silu", "gated-relu"], "rope_type": ["linear", "dynamic"],
    "attn_type": ["multiquery_attention"],
}


def asked_for(config):
    """Returns the keys that the code reads from a configuration."""
    modules = [sys.modules[type(config).__module__], masking_utils, configuration_utils]
    modeling = type(config).__module__.replace("configuration_", "modeling_")
    modules.append(importlib.import_module(modeling))
    keys = set()
    for module in modules[:1] + modules[3:]:
        source = pathlib.Path(module.__file__).read_text()
        keys |= set(re.findall(r"config\.([a-z_]\w*)\b(?!\()", source))
    for module in modules:
        source = pathlib.Path(module.__file__).read_text()
        keys |= set(re.findall(r"""(?:getattr|hasattr)\((?:self\.)?config, ["'](\w+)["']""", source))
    return keys


def keys(config, stored):
    """Returns every key with its value in the file or its default."""
    declared = {f.name for f in dataclasses.fields(config)} if dataclasses.is_dataclass(config) else set()
    names = declared | set(config.to_dict()) | set(stored) | set(config.attribute_map) | asked_for(config)
    found = dict(GENERIC)
    for name in sorted(names):
        if name.startswith("_") or name in LEFT_OUT:
            continue
        with contextlib.suppress(Exception):
            value = getattr(config, name, None)
            if not callable(value):
                found[name] = value
    return found


def others(key, value):
    """Returns values other than this one."""
    if isinstance(value, bool):
        return [not value]
    if key in WORDS:
        return WORDS[key]
    if key in ("hidden_act", "hidden_activation", "activation_function", "activation", "dense_act_fn", "dense_act"):
        return [name for name in sorted(ACT2FN) if name != value]
    if key in ("rope_parameters", "rope_scaling"):
        changes = [c for c in ROTARY]
        for inner, old in (value or {}).items():
            changes += [value | {inner: new} for new in others(inner, old)]
            changes.append({k: v for k, v in value.items() if k != inner})
        return changes
    if isinstance(value, int):
        return [value + 1, max(value // 2, 1)]
    if isinstance(value, float):
        return [value * 1.5 if value else 0.3, value * 0.5 if value else 1.0]
    if isinstance(value, dict):
        changes = [value | {k: new} for k, old in value.items() for new in [*others(k, old), None]]
        return changes or [{"0": [0]}]
    if isinstance(value, list | tuple):
        kinds = ["full_attention", "sliding_attention"]
        if value and all(kind in kinds for kind in value):
            return [[kind] * len(value) for kind in kinds]
        return [list(reversed(value))] if value else [[0]]
    if isinstance(value, str):
        return ["other"]
    return [True, False, 2, 0.5]


def anatomy(name):
    cases = make_family_fixtures.cases()
    parts = cases[name].anatomy if name in cases else LLAMA
    # With ALiBi, which any Falcon may have, "eager" adds the biases twice.
    return dataclasses.replace(parts, attention="sdpa") if name.startswith("falcon") else parts


def answer(folder, parts, inputs):
    """Returns some numbers of the last state and of the logits, or None if the reference fails."""
    config = AutoConfig.from_pretrained(folder)
    model_class = getattr(transformers, json.loads((folder / "config.json").read_text())["architectures"][0])
    module = sys.modules[model_class.__module__]
    # In double precision, experts are evaluated one by one.
    has_experts = any(
        getattr(config, key, None) for key in ("num_local_experts", "num_experts", "n_routed_experts"))
    options = {"experts_implementation": "eager"} if has_experts and config.model_type != "llama4_text" else {}
    with lifted(module), torch.no_grad():
        model, found = model_class.from_pretrained(
            folder, config=config, dtype=torch.float64, attn_implementation=parts.attention, output_loading_info=True,
            **options)
        # Files may lack buffers, which then keep their initial values.
        missing = set(found["missing_keys"]) - {name for name, _ in model.named_buffers()}
        if missing or found["mismatched_keys"] or found["error_msgs"]:
            return None
        states = []
        block = model.eval().get_submodule(parts.blocks)[-1]
        block.register_forward_hook(lambda _, given, y: states.append(y[0] if isinstance(y, tuple) else y))
        output = model(**inputs, **({"use_cache": False} if parts.prompt else {}))
        state = states[0].reshape(-1, states[0].shape[-1])
        numbers = [*state[-1, :3], *state[1, :3]]
        if parts.head:
            numbers += output.logits[0, -1, :3]
        return [float(f"{float(x):.9g}") for x in numbers]


def alike(x, y):
    return all(abs(a - b) <= 1e-8 * max(map(abs, y)) for a, b in zip(x, y))


def outcome(folder, config, parts, inputs, plain):
    """Returns "same", "none", or the numbers."""
    (folder / "config.json").write_text(json.dumps(config))
    try:
        found = answer(folder, parts, inputs)
    except Exception:  # any error for a configuration that it does not accept
        return "none"
    if found is None or not all(abs(x) < 1e30 for x in found):
        return "none"
    return "same" if alike(found, plain) else found


def make(name):
    fixture, parts = FIXTURES / name, anatomy(name)
    stored = json.loads((fixture / "config.json").read_text())
    expected = json.loads((fixture / "expected.json").read_text())
    inputs = {}
    if parts.prompt:
        inputs[parts.prompt] = torch.tensor([expected["token_ids"]])
    if "encoder_token_ids" in expected:
        inputs["input_ids"] = torch.tensor([expected["encoder_token_ids"]])
    if "pixel_values" in expected:
        inputs["pixel_values"] = torch.tensor([expected["pixel_values"]], dtype=torch.float64)
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        for file in [*fixture.glob("*.safetensors"), *fixture.glob("*.index.json")]:
            (folder / file.name).symlink_to(file)
        (folder / "config.json").write_text(json.dumps(stored))
        plain = answer(folder, parts, inputs)
        config = AutoConfig.from_pretrained(folder)
        found = {"plain": plain, "same": {}, "none": {}, "other": []}
        for key, value in sorted((keys(config, stored) | {"*": TOGETHER.get(name, [])}).items()):
            value = stored.get(key, value)
            if key == "*":
                changes = [(new, stored | new) for new in value]
            else:
                changes = [(new, stored | {key: new}) for new in [*others(key, value), None]]
            if key in stored:
                changes.append(("absent", {k: v for k, v in stored.items() if k != key}))
            for new, changed in changes:
                if key != "*" and key in stored and new == stored[key] and type(new) is type(stored[key]):
                    continue
                result = outcome(folder, changed, parts, inputs, plain)
                if isinstance(result, str):
                    found[result].setdefault(key, []).append(new)
                else:
                    found["other"].append([key, new, result])
    return found


if __name__ == "__main__":
    sys.modules["make_key_fixtures"] = sys.modules["__main__"]
    logging.disable(logging.ERROR)
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    path = FIXTURES / "keys.json"
    result = json.loads(path.read_text()) if sys.argv[1:] and path.exists() else {}
    for name in sys.argv[1:] or NAMES:
        result[name] = make(name)
        counts = [sum(map(len, result[name][k].values())) for k in ("same", "none")]
        print(name, *counts, len(result[name]["other"]), flush=True)
        lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in sorted(result.items())]
        path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
