from transformers import SiglipVisionConfig

from families.clip import VISION
from families.vit import image
from make_family_fixtures import Case, Published, older_rotary


def published(tokens):
    """As in google/siglip-base-patch16-224, with each tower separate."""
    return Published(
        config=older_rotary, prefix=("", "vision_model."),
        buffers={"vision_model.embeddings.position_ids": (1, tokens)})


CASES = {
    # With the head that pools the states.
    "siglip_vision_model": Case(
        VISION,
        SiglipVisionConfig(
            hidden_size=20, num_hidden_layers=3, num_attention_heads=2, intermediate_size=36, image_size=12,
            patch_size=4),
        seed=401, cross=(7, 3), inputs=image(3, 12, 12, seed=1), published=published(9)),
    # Without that head; one channel, one attention head.
    "siglip_vision_model-odd": Case(
        VISION,
        SiglipVisionConfig(
            hidden_size=14, num_hidden_layers=2, num_attention_heads=1, intermediate_size=9, image_size=7,
            patch_size=3, num_channels=1, hidden_act="gelu", layer_norm_eps=1e-3, vision_use_head=False),
        seed=402, cross=(0, 3), inputs=image(1, 7, 7, seed=2), published=published(4)),
}
