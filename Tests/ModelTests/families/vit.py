import re

import torch
from transformers import AutoModel, AutoModelForImageClassification, ViTConfig

from make_family_fixtures import Case, Published, older_rotary
from reference import Anatomy


def anatomy(model_class, prefix):
    return Anatomy(
        blocks=f"{prefix}layers", norm=f"{prefix}layernorm", head=None, middle="layernorm_after",
        mlp=lambda block, z: block.mlp(block.layernorm_after(z)), model_class=model_class, prompt=None)


NAMES = {
    r"\blayers\.": "encoder.layer.",
    r"\.attention\.q_proj\.": ".attention.attention.query.",
    r"\.attention\.k_proj\.": ".attention.attention.key.",
    r"\.attention\.v_proj\.": ".attention.attention.value.",
    r"\.attention\.o_proj\.": ".attention.output.dense.",
    r"\.mlp\.fc1\.": ".intermediate.dense.",
    r"\.mlp\.fc2\.": ".output.dense.",
}


def stored(state):
    """Published files have the names of the first implementation."""
    result = {}
    for name, value in state.items():
        for pattern, replacement in NAMES.items():
            name = re.sub(pattern, replacement, name)
        result[name] = value
    return result


def image(*sides, seed):
    return {"pixel_values": torch.randn(1, *sides, generator=torch.manual_seed(seed)).tolist()}


CASES = {
    "vit": Case(
        anatomy(AutoModel, ""),
        ViTConfig(
            hidden_size=20, num_hidden_layers=3, num_attention_heads=2, intermediate_size=36,
            image_size=12, patch_size=4),
        seed=321, cross=(7, 3), inputs=image(3, 12, 12, seed=1), stored=stored,
        published=Published(config=older_rotary, prefix=("", "vit."))),
    # Different sides that are not multiples of the patch size; with the head of a classifier.
    "vit-odd": Case(
        anatomy(AutoModelForImageClassification, "vit."),
        ViTConfig(
            hidden_size=14, num_hidden_layers=2, num_attention_heads=1, intermediate_size=19,
            image_size=[7, 13], patch_size=[3, 4], num_channels=1, qkv_bias=False, hidden_act="gelu_new",
            layer_norm_eps=1e-3),
        seed=323, cross=(0, 5), inputs=image(1, 7, 13, seed=2), stored=stored,
        published=Published(config=older_rotary, prefix=("vit.", ""))),
}
