from transformers import Qwen3_5TextConfig

from make_family_fixtures import Case, Published, older_rotary, respelled
from reference import LLAMA

# Attention blocks given by an interval instead of a list.
PUBLISHED = Published(
    config=lambda config: respelled(
        older_rotary(config), {"layer_types": None}, full_attention_interval=3))

COMMON = dict(vocab_size=37, bos_token_id=1, eos_token_id=2, max_position_embeddings=64)

# In the first fixture no gain is so close to 0 that the rounding of 1 + the stored number, which is what GGUF has,
# matters.
CASES = {
    "qwen3_5": Case(
        LLAMA,
        Qwen3_5TextConfig(
            **COMMON, hidden_size=16, num_hidden_layers=3, num_attention_heads=2,
            num_key_value_heads=1, head_dim=8, intermediate_size=20, linear_num_key_heads=2,
            linear_num_value_heads=4, linear_key_head_dim=6, linear_value_head_dim=5,
            layer_types=["linear_attention", "linear_attention", "full_attention"]),
        seed=708, published=PUBLISHED),
    # A kernel of two tokens, a recurrence and an attention of one head each, with another head size than the
    # recurrence.
    "qwen3_5-odd": Case(
        LLAMA,
        Qwen3_5TextConfig(
            **COMMON, hidden_size=17, num_hidden_layers=2, num_attention_heads=1,
            num_key_value_heads=1, head_dim=10, intermediate_size=23, attention_bias=True,
            hidden_act="gelu", rms_norm_eps=1e-3, linear_conv_kernel_dim=2,
            linear_num_key_heads=1, linear_num_value_heads=1, linear_key_head_dim=9,
            linear_value_head_dim=4, layer_types=["full_attention", "linear_attention"],
            rope_parameters=dict(
                rope_type="default", rope_theta=100.0, partial_rotary_factor=0.4),
            tie_word_embeddings=True),
        seed=702, cross=(0, 6), length=7, published=Published(config=older_rotary)),
}
