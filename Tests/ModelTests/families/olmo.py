from transformers import Olmo2Config, Olmo3Config, OlmoConfig

from make_family_fixtures import Case, Published, older_rotary
from reference import LLAMA, Anatomy

OLMO2 = Anatomy(
    blocks="model.layers", norm="model.norm", head="lm_head", middle="mlp",
    mlp=lambda block, z: block.post_feedforward_layernorm(block.mlp(z)))

# allenai/OLMo-7B-hf and allenai/OLMo-2-1124-7B.
PUBLISHED = Published(config=older_rotary)



def by_kind(config):
    """allenai/Olmo-3-1025-7B: scaling of the rotation applies only to blocks without a window."""
    full = config["rope_parameters"]["full_attention"]
    return older_rotary(config | {"rope_parameters": full}) | {"sliding_window_pattern": None}


COMMON = dict(vocab_size=37, bos_token_id=1, eos_token_id=2, max_position_embeddings=64)

CASES = {
    # About half of the queries, keys and values are clipped.
    "olmo": Case(
        LLAMA,
        OlmoConfig(
            **COMMON, hidden_size=20, num_hidden_layers=3, num_attention_heads=2,
            num_key_value_heads=1, intermediate_size=30, clip_qkv=0.8),
        seed=221, published=PUBLISHED),
    "olmo-odd": Case(
        LLAMA,
        OlmoConfig(
            **COMMON | dict(max_position_embeddings=6), hidden_size=18, num_hidden_layers=2,
            num_attention_heads=1, intermediate_size=25, attention_bias=True,
            tie_word_embeddings=True,
            rope_parameters=dict(rope_type="dynamic", rope_theta=300.0, factor=2.0)),
        seed=222, cross=(0, 5), length=8, published=PUBLISHED),
    "olmo2": Case(
        OLMO2,
        Olmo2Config(
            **COMMON, hidden_size=20, num_hidden_layers=3, num_attention_heads=2,
            num_key_value_heads=1, intermediate_size=30),
        seed=223, published=PUBLISHED),
    "olmo2-odd": Case(
        OLMO2,
        Olmo2Config(
            **COMMON, hidden_size=14, num_hidden_layers=2, num_attention_heads=1,
            intermediate_size=19, attention_bias=True, rms_norm_eps=1e-3, tie_word_embeddings=True),
        seed=224, cross=(0, 5), length=7, published=PUBLISHED),
    # A window of 4 in two of three blocks, and YaRN in the other.
    "olmo3": Case(
        OLMO2,
        Olmo3Config(
            **COMMON, hidden_size=16, num_hidden_layers=3, num_attention_heads=2,
            num_key_value_heads=1, intermediate_size=20, sliding_window=4,
            layer_types=["sliding_attention", "full_attention", "sliding_attention"],
            rope_parameters=dict(
                full_attention=dict(
                    rope_type="yarn", rope_theta=500_000.0, factor=8.0, beta_fast=1.5, beta_slow=0.1,
                    attention_factor=1.2079441541679836, original_max_position_embeddings=16),
                sliding_attention=dict(rope_type="default", rope_theta=500_000.0))),
        seed=225, cross=(4, 7), length=9, published=Published(config=by_kind)),
    # The kinds of blocks at their default, biases, another base for each kind.
    "olmo3-odd": Case(
        OLMO2,
        Olmo3Config(
            **COMMON, hidden_size=12, num_hidden_layers=4, num_attention_heads=1,
            intermediate_size=15, attention_bias=True, rms_norm_eps=1e-3, sliding_window=2,
            tie_word_embeddings=True,
            rope_parameters=dict(
                full_attention=dict(rope_type="linear", rope_theta=300.0, factor=2.0),
                sliding_attention=dict(rope_type="default", rope_theta=20.0))),
        seed=226, cross=(4, 5), length=7,
        published=Published(config=lambda config: config | {"layer_types": None})),
}
