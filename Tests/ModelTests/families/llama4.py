import dataclasses

from transformers import Llama4TextConfig

from make_family_fixtures import Case, Published, older_rotary, respelled
from reference import LLAMA


def mlp(block, z):
    """The mixture, which also returns its router's logits."""
    y = block.feed_forward(block.post_attention_layernorm(z))
    return (y[0] if block.is_moe_layer else y).view(z.shape)


LLAMA4 = dataclasses.replace(LLAMA, mlp=mlp)

# The text_config of meta-llama/Llama-4-Scout-17B-16E.
PUBLISHED = Published(
    config=lambda config: respelled(older_rotary(config), {"layer_types": None, "no_rope_layers": None}))

COMMON = dict(vocab_size=37, bos_token_id=1, eos_token_id=2, max_position_embeddings=64)

CASES = {
    # Chunks of 4 tokens, except in the second block, which does not rotate.
    "llama4": Case(
        LLAMA4,
        Llama4TextConfig(
            **COMMON, hidden_size=12, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
            head_dim=6, intermediate_size=7, intermediate_size_mlp=15, num_local_experts=4,
            num_experts_per_tok=1, interleave_moe_layer_step=2, no_rope_layer_interval=2,
            attention_chunk_size=4, floor_scale=3,
            rope_parameters=dict(
                rope_type="llama3", rope_theta=5000.0, factor=8.0, low_freq_factor=1.0,
                high_freq_factor=4.0, original_max_position_embeddings=16)),
        seed=441, published=PUBLISHED),
    # No norms of queries and keys, two experts, biases, kinds of blocks that contradict the rotation; no temperature.
    "llama4-odd": Case(
        LLAMA4,
        Llama4TextConfig(
            **COMMON, hidden_size=10, num_hidden_layers=3, num_attention_heads=1, num_key_value_heads=1,
            head_dim=8, intermediate_size=5, intermediate_size_mlp=9, num_local_experts=3,
            num_experts_per_tok=2, moe_layers=[0, 2], no_rope_layers=[0, 1, 0], attention_chunk_size=3,
            layer_types=["chunked_attention", "full_attention", "full_attention"], use_qk_norm=False,
            attn_temperature_tuning=False, attention_bias=True, rms_norm_eps=1e-3, hidden_act="gelu",
            tie_word_embeddings=True),
        seed=442, cross=(3, 5), length=7, published=Published(config=older_rotary)),
}
