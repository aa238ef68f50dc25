from transformers import AutoModel, CLIPTextConfig, CLIPVisionConfig

from families.vit import image
from make_family_fixtures import Case, Published, older_rotary
from reference import Anatomy


def anatomy(norm, prompt):
    return Anatomy(
        blocks="encoder.layers", norm=norm, head=None, middle="layer_norm2",
        mlp=lambda block, z: block.mlp(block.layer_norm2(z)), model_class=AutoModel, prompt=prompt)


# As in openai/clip-vit-base-patch32, with each tower separate.
def published(stem, tokens):
    return Published(
        config=older_rotary, prefix=("", f"{stem}."), buffers={f"{stem}.embeddings.position_ids": (1, tokens)})


TEXT = anatomy("final_layer_norm", "input_ids")
VISION = anatomy("post_layernorm", None)

CASES = {
    "clip_text_model": Case(
        TEXT,
        CLIPTextConfig(
            vocab_size=31, max_position_embeddings=24, hidden_size=20, num_hidden_layers=3, num_attention_heads=2,
            intermediate_size=36, bos_token_id=1, eos_token_id=2, pad_token_id=0),
        seed=391, published=published("text_model", 24)),
    # One head.
    "clip_text_model-odd": Case(
        TEXT,
        CLIPTextConfig(
            vocab_size=19, max_position_embeddings=17, hidden_size=14, num_hidden_layers=2, num_attention_heads=1,
            intermediate_size=9, hidden_act="gelu", layer_norm_eps=1e-3, bos_token_id=1, eos_token_id=2,
            pad_token_id=0),
        seed=392, cross=(0, 5), length=7, published=published("text_model", 17)),
    "clip_vision_model": Case(
        VISION,
        CLIPVisionConfig(
            hidden_size=20, num_hidden_layers=3, num_attention_heads=2, intermediate_size=36, image_size=12,
            patch_size=4),
        seed=393, cross=(7, 3), inputs=image(3, 12, 12, seed=1), published=published("vision_model", 10)),
    # An image size that is not a multiple of the patch size; one channel, one head.
    "clip_vision_model-odd": Case(
        VISION,
        CLIPVisionConfig(
            hidden_size=14, num_hidden_layers=2, num_attention_heads=1, intermediate_size=9, image_size=7,
            patch_size=3, num_channels=1, hidden_act="gelu", layer_norm_eps=1e-3),
        seed=394, cross=(0, 3), inputs=image(1, 7, 7, seed=2), published=published("vision_model", 5)),
}
