import re

import torch
from transformers import AutoModel, AutoModelForImageClassification, Dinov2Config, Dinov2WithRegistersConfig

from families.vit import image
from make_family_fixtures import Case, Published, older_rotary, respelled
from reference import Anatomy


def anatomy(model_class, prefix):
    return Anatomy(
        blocks=f"{prefix}encoder.layer", norm=f"{prefix}layernorm", head=None, middle="norm2",
        mlp=lambda block, z: block.layer_scale2(block.mlp(block.norm2(z))), model_class=model_class, prompt=None)


NAMES = {
    r"\.attention\.q_proj\.": ".attention.attention.query.", r"\.attention\.k_proj\.": ".attention.attention.key.",
    r"\.attention\.v_proj\.": ".attention.attention.value.", r"\.attention\.o_proj\.": ".attention.output.dense.",
    r"\.mlp\.gate_proj\.": ".mlp.weights_in.", r"\.mlp\.down_proj\.": ".mlp.weights_out.",
}


def stored(state):
    """Published files have the names of the first implementation, with gate and up of the MLP in one matrix."""
    result = {}
    for name, value in state.items():
        if ".mlp.up_proj." in name:
            continue
        if ".mlp.gate_proj." in name:
            value = torch.cat([value, state[name.replace("gate_proj", "up_proj")]])
        for pattern, replacement in NAMES.items():
            name = re.sub(pattern, replacement, name)
        result[name] = value
    return result


def published(config):
    """As facebook/dinov2-base and facebook/dinov2-with-registers-base."""
    unsaid = ["out_features", "out_indices", "stage_names", "apply_layernorm", "reshape_hidden_states"]
    return respelled(older_rotary(config), dict.fromkeys(unsaid))


CASES = {
    "dinov2": Case(
        anatomy(AutoModel, ""),
        Dinov2Config(
            hidden_size=20, num_hidden_layers=3, num_attention_heads=2, mlp_ratio=2, image_size=12, patch_size=4),
        seed=411, cross=(7, 3), inputs=image(3, 12, 12, seed=1), stored=stored,
        published=Published(config=published, prefix=("", "dinov2."))),
    # A gated MLP, as in the largest model, and the head of a classifier; one head, no mask token.
    "dinov2-gated": Case(
        anatomy(AutoModelForImageClassification, "dinov2."),
        Dinov2Config(
            hidden_size=14, num_hidden_layers=2, num_attention_heads=1, mlp_ratio=3, image_size=[9, 9], patch_size=3,
            num_channels=1, qkv_bias=False, layer_norm_eps=1e-3, use_swiglu_ffn=True, use_mask_token=False,
            layerscale_value=0.3),
        seed=412, cross=(0, 5), inputs=image(1, 9, 9, seed=2), stored=stored,
        published=Published(config=published, prefix=("dinov2.", ""))),
    "dinov2_with_registers": Case(
        anatomy(AutoModel, ""),
        Dinov2WithRegistersConfig(
            hidden_size=20, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=2, image_size=12, patch_size=4,
            num_register_tokens=3, hidden_act="gelu_new"),
        seed=413, cross=(2, 8), inputs=image(3, 12, 12, seed=3), stored=stored,
        published=Published(config=published, prefix=("", "dinov2_with_registers."))),
}
