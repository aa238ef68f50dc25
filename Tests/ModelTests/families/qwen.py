from transformers import Qwen2Config, Qwen3Config

from make_family_fixtures import Case, Published, older_rotary, respelled
from reference import LLAMA

# Qwen/Qwen1.5-0.5B and Qwen/Qwen3-8B: no list of the kinds of blocks, and a window that is not used.
PUBLISHED = Published(
    config=lambda config: respelled(
        older_rotary(config), {"layer_types": None}, sliding_window=4096, use_sliding_window=False,
        max_window_layers=2))
SLIDING = Published(config=lambda config: respelled(older_rotary(config), {"layer_types": None}))

COMMON = dict(vocab_size=37, bos_token_id=1, eos_token_id=2, max_position_embeddings=64)

CASES = {
    "qwen2": Case(
        LLAMA,
        Qwen2Config(
            **COMMON, hidden_size=20, num_hidden_layers=3, num_attention_heads=2,
            num_key_value_heads=1, intermediate_size=30, max_window_layers=2,
            tie_word_embeddings=True),
        seed=201, published=PUBLISHED),
    # The later blocks have a window of 3, with a prompt extended by YaRN; one head.
    "qwen2-window": Case(
        LLAMA,
        Qwen2Config(
            **COMMON, hidden_size=18, num_hidden_layers=3, num_attention_heads=1,
            num_key_value_heads=1, intermediate_size=25, rms_norm_eps=1e-4, use_sliding_window=True,
            sliding_window=3, max_window_layers=1,
            rope_parameters=dict(
                rope_type="yarn", rope_theta=1000.0, factor=4.0,
                original_max_position_embeddings=16)),
        seed=202, cross=(4, 6), length=8, published=SLIDING),
    "qwen3": Case(
        LLAMA,
        Qwen3Config(
            **COMMON, hidden_size=20, num_hidden_layers=3, num_attention_heads=4,
            num_key_value_heads=2, head_dim=6, intermediate_size=30, max_window_layers=2),
        seed=203, published=PUBLISHED),
    # A head size independent of the width, biases, and a window in the first block.
    "qwen3-odd": Case(
        LLAMA,
        Qwen3Config(
            **COMMON, hidden_size=17, num_hidden_layers=2, num_attention_heads=3,
            num_key_value_heads=3, head_dim=10, intermediate_size=23, attention_bias=True,
            hidden_act="gelu", rms_norm_eps=1e-3, use_sliding_window=True, sliding_window=4,
            layer_types=["sliding_attention", "full_attention"], tie_word_embeddings=True),
        seed=204, cross=(0, 6), length=7, published=Published(config=older_rotary)),
}
