#!/usr/bin/env python3
"""Converts a llama-family GGUF file to a Hugging Face folder of float32 weights: the same numbers, dequantised.

    scripts/gguf_to_hf.py MODEL.gguf FOLDER

Writes config.json (in the older spelling: rope_theta, torch_dtype) and model.safetensors; no tokenizer, so prompts must be
given as --token-ids. llama.cpp stores the two features of a rotated pair next to each other, Hugging Face half a head apart:
the rows of q and k are reordered. Needs the packages gguf, numpy and safetensors.
"""
import json
import pathlib
import sys

import gguf
import numpy as np
from safetensors.numpy import save_file

BLOCK = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
OUTSIDE = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}


def name_of(tensor):
    """The name in transformers: blk.3.attn_q.weight → model.layers.3.self_attn.q_proj.weight."""
    if tensor in OUTSIDE:
        return OUTSIDE[tensor]
    _, block, part, kind = tensor.split(".")
    return f"model.layers.{block}.{BLOCK[part]}.{kind}"


def halves(rows, heads):
    """Reorders rows of q or k: adjacent pairs (heads, d/2, 2) → half a head apart (heads, 2, d/2)."""
    columns = rows.shape[1:]
    pairs = rows.reshape(heads, rows.shape[0] // heads // 2, 2, *columns)
    return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(rows.shape)


def convert(source, folder):
    reader = gguf.GGUFReader(source)

    def value(key, default=None):
        field = reader.get_field(key)
        return default if field is None else field.contents()

    if value("general.architecture") != "llama":
        sys.exit(f"{source}: the architecture is {value('general.architecture')}, not llama")
    if value("llama.rope.scaling.type", "none") != "none" or any(
        t.name == "rope_freqs.weight" for t in reader.tensors
    ):
        sys.exit(f"{source}: scaled rotary frequencies are not converted here")
    heads = value("llama.attention.head_count")
    kv_heads = value("llama.attention.head_count_kv", heads)

    weights = {}
    for tensor in reader.tensors:
        array = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        array = array.reshape(tuple(int(n) for n in reversed(tensor.shape)))
        if ".attn_q." in tensor.name:
            array = halves(array, heads)
        elif ".attn_k." in tensor.name:
            array = halves(array, kv_heads)
        weights[name_of(tensor.name)] = array

    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": value("llama.embedding_length"),
        "intermediate_size": value("llama.feed_forward_length"),
        "num_hidden_layers": value("llama.block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "max_position_embeddings": value("llama.context_length"),
        "rms_norm_eps": value("llama.attention.layer_norm_rms_epsilon"),
        "rope_theta": value("llama.rope.freq_base", 10000.0),
        "hidden_act": "silu",
        "tie_word_embeddings": "lm_head.weight" not in weights,
        "vocab_size": int(weights["model.embed_tokens.weight"].shape[0]),
        "torch_dtype": "float32",
    }
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    convert(*sys.argv[1:])
