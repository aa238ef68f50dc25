from transformers import Qwen3_5MoeTextConfig, Qwen3NextConfig

from make_family_fixtures import Case, Published, experts_apart, older_rotary, respelled
from reference import LLAMA

# Qwen/Qwen3-Next-80B-A3B-Instruct: attention blocks given by an interval instead of a list.
PUBLISHED = Published(
    config=lambda config: respelled(
        older_rotary(config), {"layer_types": None, "num_local_experts": "num_experts"},
        full_attention_interval=2))
LISTED = Published(
    config=lambda config: respelled(older_rotary(config), {"num_local_experts": "num_experts"}))

# In double precision, experts are evaluated one by one.
COMMON = dict(
    vocab_size=37, bos_token_id=1, eos_token_id=2, max_position_embeddings=64,
    experts_implementation="eager")

CASES = {
    "qwen3_next": Case(
        LLAMA,
        Qwen3NextConfig(
            **COMMON, hidden_size=12, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=1, head_dim=8, intermediate_size=20, moe_intermediate_size=6,
            shared_expert_intermediate_size=9, num_experts=4, num_experts_per_tok=2,
            linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=5,
            linear_value_head_dim=3, layer_types=["linear_attention", "full_attention"]),
        seed=741, published=PUBLISHED, stored=experts_apart),
    # The first block has no experts, the weights of the others are not normalised; as many groups as heads.
    "qwen3_next-odd": Case(
        LLAMA,
        Qwen3NextConfig(
            **COMMON, hidden_size=11, num_hidden_layers=3, num_attention_heads=3,
            num_key_value_heads=3, head_dim=6, intermediate_size=13, moe_intermediate_size=5,
            shared_expert_intermediate_size=4, num_experts=3, num_experts_per_tok=2,
            norm_topk_prob=False, mlp_only_layers=[0], attention_bias=True,
            linear_num_key_heads=2, linear_num_value_heads=2, linear_key_head_dim=3,
            linear_value_head_dim=4, linear_conv_kernel_dim=3, hidden_act="gelu",
            rms_norm_eps=1e-3, tie_word_embeddings=True,
            layer_types=["linear_attention", "full_attention", "linear_attention"],
            rope_parameters=dict(
                rope_type="default", rope_theta=100.0, partial_rotary_factor=0.7)),
        seed=742, cross=(0, 6), length=7, published=LISTED),
    # Three heads in each of two groups; no gain so close to 0 that the rounding of 1 + the stored number matters.
    "qwen3_5_moe": Case(
        LLAMA,
        Qwen3_5MoeTextConfig(
            **COMMON, hidden_size=12, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=1, head_dim=8, moe_intermediate_size=6,
            shared_expert_intermediate_size=9, num_experts=4, num_experts_per_tok=2,
            linear_num_key_heads=2, linear_num_value_heads=6, linear_key_head_dim=4,
            linear_value_head_dim=3, layer_types=["linear_attention", "full_attention"]),
        seed=762, cross=(2, 5), length=7, published=PUBLISHED),
}
