from transformers import Qwen2MoeConfig, Qwen3MoeConfig

from make_family_fixtures import Case, Published, experts_apart, older_rotary, respelled
from reference import LLAMA

# Qwen/Qwen1.5-MoE-A2.7B and Qwen/Qwen3-30B-A3B: no list of the kinds of blocks, and a window that is not used.
PUBLISHED = Published(
    config=lambda config: respelled(
        older_rotary(config), {"layer_types": None, "num_local_experts": "num_experts"},
        sliding_window=4096, use_sliding_window=False, max_window_layers=2))
SLIDING = Published(
    config=lambda config: respelled(older_rotary(config), {"num_local_experts": "num_experts"}))

# In double precision, experts are evaluated one by one.
COMMON = dict(
    vocab_size=37, bos_token_id=1, eos_token_id=2, max_position_embeddings=64,
    experts_implementation="eager")

CASES = {
    "qwen2_moe": Case(
        LLAMA,
        Qwen2MoeConfig(
            **COMMON, hidden_size=12, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=1, intermediate_size=20, moe_intermediate_size=6,
            shared_expert_intermediate_size=9, num_experts=4, num_experts_per_tok=2,
            max_window_layers=2),
        seed=411, published=PUBLISHED, stored=experts_apart),
    # The first block has a window and no experts; the others' are in one tensor, with weights divided by their sum.
    "qwen2_moe-odd": Case(
        LLAMA,
        Qwen2MoeConfig(
            **COMMON, hidden_size=12, num_hidden_layers=3, num_attention_heads=1,
            num_key_value_heads=1, intermediate_size=15, moe_intermediate_size=5,
            shared_expert_intermediate_size=4, num_experts=3, num_experts_per_tok=2,
            norm_topk_prob=True, qkv_bias=False, mlp_only_layers=[0], use_sliding_window=True,
            sliding_window=3, max_window_layers=2, rms_norm_eps=1e-3, tie_word_embeddings=True),
        seed=412, cross=(4, 6), length=8, published=SLIDING),
    "qwen3_moe": Case(
        LLAMA,
        Qwen3MoeConfig(
            **COMMON, hidden_size=12, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, head_dim=6, intermediate_size=20, moe_intermediate_size=7,
            num_experts=4, num_experts_per_tok=2, norm_topk_prob=True),
        seed=413, published=PUBLISHED, stored=experts_apart),
    # Every second block has experts, all of which are chosen; weights are not normalised, windows and biases
    # everywhere.
    "qwen3_moe-odd": Case(
        LLAMA,
        Qwen3MoeConfig(
            **COMMON, hidden_size=11, num_hidden_layers=2, num_attention_heads=3,
            num_key_value_heads=3, head_dim=8, intermediate_size=13, moe_intermediate_size=5,
            num_experts=3, num_experts_per_tok=3, norm_topk_prob=False, decoder_sparse_step=2,
            attention_bias=True, use_sliding_window=True, sliding_window=4, hidden_act="gelu",
            rms_norm_eps=1e-3, tie_word_embeddings=True),
        seed=414, cross=(0, 3), length=7, published=SLIDING),
}
