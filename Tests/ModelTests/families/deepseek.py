from transformers import DeepseekV2Config, DeepseekV3Config, Glm4MoeConfig

from make_family_fixtures import Case, Published, experts_apart, older_rotary, respelled
from reference import LLAMA

# deepseek-ai/DeepSeek-V2-Lite, DeepSeek-V3 and zai-org/GLM-4.5.
V2 = Published(
    config=lambda config: respelled(
        older_rotary(config), {"head_dim": None, "qk_head_dim": None, "mlp_bias": None},
        moe_layer_freq=1, scoring_func="softmax", seq_aux=True))
V3 = Published(
    config=lambda config: respelled(
        older_rotary(config),
        {"head_dim": None, "qk_head_dim": None, "rope_interleave": None, "num_mtp_layers": "num_nextn_predict_layers"},
        moe_layer_freq=1, scoring_func="sigmoid", topk_method="noaux_tc", ep_size=1))
GLM4 = Published(
    config=lambda config: respelled(older_rotary(config), {"num_mtp_layers": "num_nextn_predict_layers"}))

# In double precision, experts are evaluated one by one.
COMMON = dict(
    vocab_size=37, bos_token_id=1, eos_token_id=2, max_position_embeddings=64,
    experts_implementation="eager")

CASES = {
    "deepseek_v2": Case(
        LLAMA,
        DeepseekV2Config(
            **COMMON, hidden_size=12, num_hidden_layers=2, num_attention_heads=2, intermediate_size=20,
            moe_intermediate_size=6, n_routed_experts=6, n_shared_experts=2, num_experts_per_tok=2,
            n_group=3, topk_group=2, topk_method="group_limited_greedy", routed_scaling_factor=4.0,
            first_k_dense_replace=1, q_lora_rank=7, kv_lora_rank=6, qk_nope_head_dim=6,
            qk_rope_head_dim=4, v_head_dim=3,
            rope_parameters=dict(
                rope_type="yarn", rope_theta=1000.0, factor=4.0, beta_fast=2.0, beta_slow=0.1,
                mscale=0.707, mscale_all_dim=0.707, original_max_position_embeddings=16)),
        seed=431, published=V2, stored=experts_apart),
    # Queries from a single matrix, biases, no groups, plain rotation, values larger than keys.
    "deepseek_v2-odd": Case(
        LLAMA,
        DeepseekV2Config(
            **COMMON, hidden_size=10, num_hidden_layers=2, num_attention_heads=1, intermediate_size=13,
            moe_intermediate_size=5, n_routed_experts=3, n_shared_experts=1, num_experts_per_tok=2,
            first_k_dense_replace=0, q_lora_rank=None, kv_lora_rank=8, qk_nope_head_dim=2,
            qk_rope_head_dim=4, v_head_dim=9, attention_bias=True, mlp_bias=True, rms_norm_eps=1e-3,
            tie_word_embeddings=True),
        seed=432, cross=(0, 5), length=7,
        published=Published(
            config=lambda config: respelled(older_rotary(config), {"head_dim": None, "qk_head_dim": None})),
        stored=experts_apart),
    "deepseek_v3": Case(
        LLAMA,
        DeepseekV3Config(
            **COMMON, hidden_size=12, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
            intermediate_size=20, moe_intermediate_size=6, n_routed_experts=8, n_shared_experts=1,
            num_experts_per_tok=2, n_group=4, topk_group=2, first_k_dense_replace=1, q_lora_rank=7,
            kv_lora_rank=5, qk_nope_head_dim=6, qk_rope_head_dim=4, v_head_dim=3,
            rope_parameters=dict(
                rope_type="yarn", rope_theta=1000.0, factor=4.0, beta_fast=2.0, beta_slow=0.1,
                mscale=1.0, mscale_all_dim=1.0, original_max_position_embeddings=16)),
        seed=433, published=V3, stored=experts_apart),
    # The halves of a head rotate together, weights are not normalised; YaRN's m differs from that of all dimensions.
    "deepseek_v3-odd": Case(
        LLAMA,
        DeepseekV3Config(
            **COMMON, hidden_size=10, num_hidden_layers=2, num_attention_heads=1, num_key_value_heads=1,
            intermediate_size=13, moe_intermediate_size=5, n_routed_experts=4, n_shared_experts=2,
            num_experts_per_tok=3, n_group=1, topk_group=1, norm_topk_prob=False,
            routed_scaling_factor=1.5, first_k_dense_replace=0, q_lora_rank=None, kv_lora_rank=6,
            qk_nope_head_dim=3, qk_rope_head_dim=4, v_head_dim=5, rope_interleave=False,
            attention_bias=True, rms_norm_eps=1e-3, tie_word_embeddings=True,
            rope_parameters=dict(
                rope_type="yarn", rope_theta=1000.0, factor=8.0, beta_fast=3.0, beta_slow=0.2,
                mscale=1.3, mscale_all_dim=0.6, original_max_position_embeddings=8)),
        seed=434, cross=(4, 6), length=8,
        published=Published(
            config=lambda config: respelled(older_rotary(config), {"head_dim": None, "qk_head_dim": None})),
        stored=experts_apart),
    "glm4_moe": Case(
        LLAMA,
        Glm4MoeConfig(
            **COMMON, hidden_size=12, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
            head_dim=8, intermediate_size=20, moe_intermediate_size=6, n_routed_experts=4,
            n_shared_experts=1, num_experts_per_tok=2, first_k_dense_replace=1, use_qk_norm=True,
            attention_bias=True),
        seed=435, published=GLM4, stored=experts_apart),
    # All of a head rotates; there are groups and a factor.
    "glm4_moe-odd": Case(
        LLAMA,
        Glm4MoeConfig(
            **COMMON, hidden_size=10, num_hidden_layers=2, num_attention_heads=1, num_key_value_heads=1,
            head_dim=6, intermediate_size=13, moe_intermediate_size=5, n_routed_experts=6,
            n_shared_experts=2, num_experts_per_tok=3, n_group=2, topk_group=1, norm_topk_prob=False,
            routed_scaling_factor=0.7, first_k_dense_replace=0, rms_norm_eps=1e-3, tie_word_embeddings=True,
            rope_parameters=dict(rope_type="default", rope_theta=300.0, partial_rotary_factor=1.0)),
        seed=436, cross=(0, 5), length=7, published=GLM4, stored=experts_apart),
}
