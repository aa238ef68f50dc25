from transformers import SmolLM3Config

from make_family_fixtures import Case, Published, older_rotary, respelled
from reference import LLAMA

# HuggingFaceTB/SmolLM3-3B: the kinds of blocks are listed.
PUBLISHED = Published(config=older_rotary)

COMMON = dict(
    vocab_size=37, bos_token_id=1, eos_token_id=2, pad_token_id=3, max_position_embeddings=64)

CASES = {
    # The last of four blocks does not rotate.
    "smollm3": Case(
        LLAMA,
        SmolLM3Config(
            **COMMON, hidden_size=16, num_hidden_layers=4, num_attention_heads=2,
            num_key_value_heads=1, intermediate_size=20,
            rope_parameters=dict(rope_type="default", rope_theta=500.0)),
        seed=271, published=PUBLISHED),
    # Every other block does not rotate and has a window of 3; biases, a separate head.
    "smollm3-odd": Case(
        LLAMA,
        SmolLM3Config(
            **COMMON, hidden_size=12, num_hidden_layers=3, num_attention_heads=1,
            num_key_value_heads=1, intermediate_size=15, attention_bias=True, mlp_bias=True,
            no_rope_layer_interval=2, use_sliding_window=True, sliding_window=3,
            tie_word_embeddings=False, rms_norm_eps=1e-3,
            rope_parameters=dict(rope_type="linear", rope_theta=200.0, factor=2.0)),
        seed=272, cross=(3, 5), length=7,
        published=Published(config=lambda config: respelled(
            older_rotary(config), {"layer_types": None, "no_rope_layers": None}))),
}
