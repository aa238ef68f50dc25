from transformers import Ministral3Config, MinistralConfig

from make_family_fixtures import Case, Published, older_rotary
from reference import LLAMA

# mistralai/Ministral-8B-Instruct-2410.
PUBLISHED = Published(config=older_rotary)


def nested(config):
    """mistralai/Ministral-3-3B-Instruct-2512: the text part of a multimodal model."""
    text = {k: v for k, v in config.items() if k not in ("architectures", "dtype")}
    return {
        "model_type": "mistral3", "architectures": ["Mistral3ForConditionalGeneration"],
        "dtype": "float32", "text_config": text, "image_token_index": 10, "spatial_merge_size": 2,
        "vision_config": {"model_type": "pixtral", "hidden_size": 4, "num_hidden_layers": 1}}


NESTED = Published(
    config=nested, prefix=("", "language_model."), same=False,
    buffers={
        "vision_tower.transformer.layers.0.attention.q_proj.weight": (4, 4),
        "multi_modal_projector.linear_1.weight": (16, 4)})

COMMON = dict(vocab_size=37, bos_token_id=1, eos_token_id=2, pad_token_id=3, max_position_embeddings=64)

CASES = {
    # A window of 4 in two blocks of three.
    "ministral": Case(
        LLAMA,
        MinistralConfig(
            **COMMON, hidden_size=16, num_hidden_layers=3, num_attention_heads=2,
            num_key_value_heads=1, head_dim=6, intermediate_size=20, sliding_window=4,
            layer_types=["full_attention", "sliding_attention", "sliding_attention"],
            rope_parameters=dict(rope_type="default", rope_theta=500.0)),
        seed=291, cross=(5, 8), length=9, published=PUBLISHED),
    # Queries grow every third token; YaRN with a noticeable ramp.
    "ministral3": Case(
        LLAMA,
        Ministral3Config(
            **COMMON, hidden_size=16, num_hidden_layers=3, num_attention_heads=2,
            num_key_value_heads=1, head_dim=8, intermediate_size=20,
            rope_parameters=dict(
                rope_type="yarn", rope_theta=10_000.0, factor=16.0, beta_fast=0.4, beta_slow=0.01,
                mscale=1.0, mscale_all_dim=1.0, llama_4_scaling_beta=0.4,
                original_max_position_embeddings=3)),
        seed=292, cross=(5, 8), length=10, published=NESTED),
    # A window, a tied head, smaller heads.
    "ministral3-odd": Case(
        LLAMA,
        Ministral3Config(
            **COMMON, hidden_size=12, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=2, head_dim=4, intermediate_size=15, sliding_window=3,
            tie_word_embeddings=True, rms_norm_eps=1e-3,
            rope_parameters=dict(
                rope_type="yarn", rope_theta=300.0, factor=2.0, beta_fast=2.0, beta_slow=0.5,
                llama_4_scaling_beta=0.1, original_max_position_embeddings=4)),
        seed=293, cross=(3, 5), length=7, published=PUBLISHED),
}
