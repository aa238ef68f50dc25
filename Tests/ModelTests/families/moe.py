import dataclasses

from transformers import Ernie4_5_MoeConfig, GraniteMoeConfig, MiniMaxM2Config, PhimoeConfig

from make_family_fixtures import Case, Published, experts_apart, older_rotary, respelled
from reference import LLAMA

GRANITE = dataclasses.replace(
    LLAMA, logits=lambda model, y: y / model.config.logits_scaling,
    mlp=lambda block, z: block.residual_multiplier * block.block_sparse_moe(block.post_attention_layernorm(z)))


def mixtral_names(state):
    """The experts as in published files."""
    stored = experts_apart(state, ("w1", "w3", "w2"), "block_sparse_moe")
    return {name.replace("block_sparse_moe.router.", "block_sparse_moe.gate."): t for name, t in stored.items()}


def granite_names(state):
    names = {
        "experts.gate_up_proj": "input_linear.weight", "experts.down_proj": "output_linear.weight",
        "router.weight": "router.layer.weight"}
    stored = {}
    for name, tensor in state.items():
        stem, moe, part = name.partition(".block_sparse_moe.")
        stored[stem + moe + names.get(part, part)] = tensor
    return stored


def ernie_names(state):
    stored = experts_apart(state)
    return {name.replace("mlp.gate.moe_statics.", "mlp.moe_statics."): t for name, t in stored.items()}


# MiniMaxAI/MiniMax-M2.
def minimax(config):
    config = older_rotary(config)
    share = config.pop("partial_rotary_factor", 1)
    return respelled(
        config, {}, rotary_dim=int(share * config["head_dim"]), use_qk_norm=True, scoring_func="sigmoid",
        use_routing_bias=True, num_mtp_modules=3)


# baidu/ERNIE-4.5-21B-A3B-PT, microsoft/Phi-3.5-MoE-instruct and ibm-granite/granite-3.0-1b-a400m-base.
PUBLISHED = Published(config=older_rotary)

# In double precision, experts are evaluated one by one.
COMMON = dict(
    vocab_size=37, bos_token_id=1, eos_token_id=2, max_position_embeddings=64,
    experts_implementation="eager")

CASES = {
    "minimax_m2": Case(
        LLAMA,
        MiniMaxM2Config(
            **COMMON, hidden_size=12, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
            head_dim=8, intermediate_size=7, num_local_experts=4, num_experts_per_tok=2,
            rope_parameters=dict(rope_type="default", rope_theta=5000.0, partial_rotary_factor=0.5)),
        seed=451, published=Published(config=minimax), stored=mixtral_names),
    "minimax_m2-odd": Case(
        LLAMA,
        MiniMaxM2Config(
            **COMMON, hidden_size=10, num_hidden_layers=2, num_attention_heads=1, num_key_value_heads=1,
            head_dim=6, intermediate_size=5, num_local_experts=3, num_experts_per_tok=1,
            rms_norm_eps=1e-3, tie_word_embeddings=True),
        seed=452, cross=(0, 5), length=7, published=PUBLISHED),
    "ernie4_5_moe": Case(
        LLAMA,
        Ernie4_5_MoeConfig(
            **COMMON, hidden_size=12, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
            intermediate_size=20, moe_intermediate_size=6, moe_num_experts=4, moe_k=2,
            moe_num_shared_experts=2),
        seed=453, published=PUBLISHED, stored=ernie_names),
    # Only the middle block has experts, without a shared one; biases.
    "ernie4_5_moe-odd": Case(
        LLAMA,
        Ernie4_5_MoeConfig(
            **COMMON, hidden_size=10, num_hidden_layers=3, num_attention_heads=1, num_key_value_heads=1,
            head_dim=6, intermediate_size=11, moe_intermediate_size=5, moe_num_experts=3, moe_k=2,
            moe_num_shared_experts=0, moe_layer_start_index=0, moe_layer_end_index=2,
            moe_layer_interval=2, use_bias=True, rms_norm_eps=1e-3, tie_word_embeddings=False),
        seed=454, cross=(0, 5), length=7, published=PUBLISHED),
    # Experts whose logits are within a third of the best one share the weight.
    "phimoe": Case(
        LLAMA,
        PhimoeConfig(
            **COMMON, hidden_size=12, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
            intermediate_size=7, num_local_experts=5, router_jitter_noise=0.6, attention_bias=True,
            lm_head_bias=True),
        seed=455, published=PUBLISHED, stored=mixtral_names),
    "phimoe-odd": Case(
        LLAMA,
        PhimoeConfig(
            **COMMON, hidden_size=8, num_hidden_layers=2, num_attention_heads=1, num_key_value_heads=1,
            intermediate_size=5, num_local_experts=4, router_jitter_noise=0.3, sliding_window=3,
            rms_norm_eps=1e-3, tie_word_embeddings=True,
            rope_parameters=dict(
                rope_type="longrope", rope_theta=300.0, short_factor=[1.0, 1.1, 1.5, 2.0],
                long_factor=[1.2, 1.7, 2.0, 4.0], short_mscale=1.2, long_mscale=1.2,
                original_max_position_embeddings=6)),
        seed=456, cross=(4, 6), length=8, published=PUBLISHED, stored=mixtral_names),
    "granitemoe": Case(
        GRANITE,
        GraniteMoeConfig(
            **COMMON, hidden_size=12, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
            intermediate_size=7, num_local_experts=4, num_experts_per_tok=2, embedding_multiplier=12.0,
            logits_scaling=8.0, residual_multiplier=0.22, attention_multiplier=0.0625,
            tie_word_embeddings=True),
        seed=457, published=PUBLISHED, stored=granite_names),
    "granitemoe-odd": Case(
        GRANITE,
        GraniteMoeConfig(
            **COMMON, hidden_size=10, num_hidden_layers=2, num_attention_heads=1, intermediate_size=5,
            num_local_experts=3, num_experts_per_tok=3, attention_bias=True, rms_norm_eps=1e-3),
        seed=458, cross=(0, 5), length=7, published=PUBLISHED, stored=granite_names),
}
