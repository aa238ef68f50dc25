import re

import torch
from transformers import AutoModel, AutoModelForMaskedLM, NomicBertConfig

from make_family_fixtures import Case, Published
from reference import Anatomy


def anatomy(model_class, prefix, head):
    return Anatomy(
        blocks=f"{prefix}layers", norm=None, head=head, middle="mlp",
        mlp=lambda block, z: block.post_mlp_layernorm(z + block.mlp(z)) - z, model_class=model_class)


NAMES = {
    r"\blayers\.": "encoder.layers.", r"embeddings\.LayerNorm": "emb_ln", "self_attn.o_proj": "attn.out_proj",
    "up_proj": "fc11", "gate_proj": "fc12", "down_proj": "fc2", "post_attention_layernorm": "norm1",
    "post_mlp_layernorm": "norm2", "self_attn.q_proj": "attn.Wqkv",
}


def stored(state):
    """Published files have the names of the first implementation, and queries, keys and values in one matrix."""
    result = {}
    for name, value in state.items():
        if "self_attn.k_proj" in name or "self_attn.v_proj" in name:
            continue
        if "self_attn.q_proj" in name:
            value = torch.cat([state[name.replace("q_proj", f"{p}_proj")] for p in "qkv"])
        for pattern, replacement in NAMES.items():
            name = re.sub(pattern, replacement, name)
        result[name] = value
    return result


def published(config):
    """As nomic-ai/nomic-embed-text-v1.5, whose configuration has the keys of GPT-2."""
    names = {
        "hidden_size": "n_embd", "num_attention_heads": "n_head", "num_hidden_layers": "n_layer",
        "intermediate_size": "n_inner", "max_position_embeddings": "n_positions",
        "layer_norm_eps": "layer_norm_epsilon"}
    kept = ["vocab_size", "type_vocab_size", "pad_token_id", "model_type", "architectures"]
    found = {new: config[old] for old, new in names.items()} | {key: config[key] for key in kept}
    return found | {
        "activation_function": "swiglu", "rotary_emb_base": config["rope_parameters"]["rope_theta"],
        "rotary_emb_fraction": 1.0, "rotary_emb_interleaved": False, "rotary_emb_scale_base": None,
        "rotary_scaling_factor": None, "prenorm": False, "parallel_block": False, "use_rms_norm": False,
        "qkv_proj_bias": False, "mlp_fc1_bias": False, "mlp_fc2_bias": False, "causal": False,
        "scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False, "torch_dtype": "float32"}


CASES = {
    "nomic_bert": Case(
        anatomy(AutoModelForMaskedLM, "nomic_bert.", "cls"),
        NomicBertConfig(
            vocab_size=31, max_position_embeddings=24, hidden_size=20, num_hidden_layers=3, num_attention_heads=2,
            intermediate_size=27),
        seed=371, cross=(7, 3), stored=stored,
        published=Published(config=published, prefix=("nomic_bert.", "bert."), same=False)),
    # Only the encoder; one head whose size is not that of the stream, another base.
    "nomic_bert-odd": Case(
        anatomy(AutoModel, "", None),
        NomicBertConfig(
            vocab_size=19, max_position_embeddings=17, hidden_size=14, num_hidden_layers=2, num_attention_heads=1,
            intermediate_size=9, head_dim=10, hidden_act="gelu", layer_norm_eps=1e-3, type_vocab_size=1,
            rope_parameters={"rope_type": "linear", "rope_theta": 50.0, "factor": 3.0}),
        seed=372, cross=(0, 5), length=7, stored=stored,
        published=Published(config=lambda config: config, prefix=("", "nomic_bert."))),
}
