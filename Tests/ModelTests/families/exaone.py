from transformers import Exaone4Config

from make_family_fixtures import Case, Published, older_rotary
from reference import LLAMA, Anatomy

NORMS_BEHIND = Anatomy(
    blocks="model.layers", norm="model.norm", head="lm_head", middle="mlp",
    mlp=lambda block, z: block.post_feedforward_layernorm(block.mlp(z)))

# LGAI-EXAONE/EXAONE-4.0-32B and, without windows, EXAONE-4.0-1.2B.
PUBLISHED = Published(config=older_rotary)

COMMON = dict(vocab_size=37, bos_token_id=1, eos_token_id=2, max_position_embeddings=64)

CASES = {
    # A window of 4 in the first and the third block; the second does not rotate.
    "exaone4": Case(
        NORMS_BEHIND,
        Exaone4Config(
            **COMMON, hidden_size=16, num_hidden_layers=3, num_attention_heads=2,
            num_key_value_heads=1, head_dim=6, intermediate_size=20, sliding_window=4,
            sliding_window_pattern="LG",
            layer_types=["sliding_attention", "full_attention", "sliding_attention"],
            rope_parameters=dict(rope_type="default", rope_theta=500.0)),
        seed=281, cross=(5, 8), length=9, published=PUBLISHED),
    # No windows: all blocks rotate.
    "exaone4-odd": Case(
        NORMS_BEHIND,
        Exaone4Config(
            **COMMON, hidden_size=12, num_hidden_layers=2, num_attention_heads=1,
            num_key_value_heads=1, intermediate_size=15, sliding_window=None,
            sliding_window_pattern=None, layer_types=["full_attention"] * 2, rms_norm_eps=1e-3,
            tie_word_embeddings=True,
            rope_parameters=dict(
                rope_type="llama3", rope_theta=500.0, factor=4.0, low_freq_factor=1.0,
                high_freq_factor=4.0, original_max_position_embeddings=16)),
        seed=282, cross=(0, 5), length=7, published=PUBLISHED),
    # The kinds of blocks given only by the pattern.
    "exaone4-pattern": Case(
        NORMS_BEHIND,
        Exaone4Config(
            **COMMON, hidden_size=12, num_hidden_layers=3, num_attention_heads=1,
            num_key_value_heads=1, intermediate_size=15, sliding_window=2, sliding_window_pattern=2,
            rope_parameters=dict(rope_type="default", rope_theta=100.0)),
        seed=283, cross=(1, 2), length=7,
        published=Published(config=lambda config: older_rotary(config) | {"layer_types": None})),
}
