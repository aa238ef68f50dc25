from transformers import NemotronHConfig

from make_family_fixtures import Case, Published, respelled
from reference import Anatomy

NEMOTRON_H = Anatomy(blocks="model.layers", norm="model.norm_f", head="lm_head")

LETTERS = {"linear_attention": "M", "moe": "E", "full_attention": "*", "mlp": "-"}

# nvidia/NVIDIA-Nemotron-Nano-9B-v2: the kinds of blocks as letters.
PUBLISHED = Published(
    config=lambda config: respelled(
        config, {"layers_block_type": None, "mtp_layers_block_type": None, "dtype": "torch_dtype"},
        hybrid_override_pattern="".join(LETTERS[kind] for kind in config["layers_block_type"]),
        num_hidden_layers=len(config["layers_block_type"])),
    prefix=("", ""))


def published_names(state):
    """Separate matrices for every expert, and the published prefix."""
    stored = {}
    for name, tensor in state.items():
        name = name.replace("model.", "backbone.", 1)
        stem, _, part = name.rpartition(".")
        if stem.endswith(".experts"):
            stored |= {f"{stem}.{e}.{part}.weight": matrix for e, matrix in enumerate(tensor)}
        else:
            stored[name] = tensor
    return stored


# In double precision, experts are evaluated one by one.
COMMON = dict(
    vocab_size=37, pad_token_id=0, bos_token_id=1, eos_token_id=2, max_position_embeddings=64,
    experts_implementation="eager", use_mamba_kernels=False)

CASES = {
    "nemotron_h": Case(
        NEMOTRON_H,
        NemotronHConfig(
            **COMMON, hidden_size=12, num_attention_heads=2, num_key_value_heads=1, head_dim=6,
            intermediate_size=10, mamba_num_heads=4, mamba_head_dim=4, n_groups=2,
            ssm_state_size=3, chunk_size=4, n_routed_experts=4, num_experts_per_tok=2,
            moe_intermediate_size=6, moe_shared_expert_intermediate_size=5,
            layers_block_type=["linear_attention", "moe", "full_attention", "mlp"]),
        seed=761, cross=(2, 5), length=7, published=PUBLISHED, stored=published_names),
    # Experts in two groups, of which one is chosen, with a narrower stream; steps are clamped from below; biases.
    "nemotron_h-odd": Case(
        NEMOTRON_H,
        NemotronHConfig(
            **COMMON, hidden_size=10, num_attention_heads=3, num_key_value_heads=3, head_dim=4,
            intermediate_size=9, mamba_num_heads=2, mamba_head_dim=6, n_groups=1,
            ssm_state_size=4, conv_kernel=3, use_bias=True, use_conv_bias=False, mlp_bias=True,
            time_step_min=0.5, time_step_max=2.0, n_routed_experts=4, num_experts_per_tok=2, n_group=2, topk_group=1,
            norm_topk_prob=False, routed_scaling_factor=1.6, moe_latent_size=7,
            moe_intermediate_size=5, moe_shared_expert_intermediate_size=4, mlp_hidden_act="gelu",
            layer_norm_epsilon=1e-3, tie_word_embeddings=True,
            layers_block_type=["moe", "linear_attention"]),
        seed=762, cross=(0, 6), length=7, published=PUBLISHED),
    # Without experts, like most published models; an independent head size.
    "nemotron_h-dense": Case(
        NEMOTRON_H,
        NemotronHConfig(
            **COMMON, hidden_size=12, num_attention_heads=2, num_key_value_heads=1, head_dim=4,
            intermediate_size=7, mamba_num_heads=2, mamba_head_dim=6, n_groups=1,
            ssm_state_size=3, layers_block_type=["linear_attention", "full_attention", "mlp"]),
        seed=763, cross=(1, 5), length=7, published=PUBLISHED, stored=published_names),
    # Only experts and recurrences around attention, the experts with a narrower stream.
    "nemotron_h-experts": Case(
        NEMOTRON_H,
        NemotronHConfig(
            **COMMON, hidden_size=10, num_attention_heads=2, num_key_value_heads=2, head_dim=4,
            intermediate_size=5, mamba_num_heads=4, mamba_head_dim=3, n_groups=2,
            ssm_state_size=4, conv_kernel=3, n_routed_experts=3, num_experts_per_tok=2,
            norm_topk_prob=False, routed_scaling_factor=1.6, moe_latent_size=7,
            moe_intermediate_size=5, moe_shared_expert_intermediate_size=4,
            layers_block_type=["moe", "linear_attention", "full_attention"]),
        seed=764, cross=(2, 6), length=7, published=PUBLISHED, stored=published_names),
}
