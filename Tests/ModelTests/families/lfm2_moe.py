from transformers import Lfm2MoeConfig

from families.lfm2 import LFM2
from make_family_fixtures import Case, Published, older_rotary, respelled

PUBLISHED = Published(
    config=lambda config: respelled(
        older_rotary(config),
        {"num_local_experts": "num_experts", "tie_word_embeddings": "tie_embedding"}))


def apart(state):
    """Separate matrices for every expert, as in published files."""
    stored = {}
    for name, tensor in state.items():
        stem, _, part = name.rpartition(".")
        if not stem.endswith(".experts"):
            stored[name] = tensor
            continue
        for e, matrices in enumerate(tensor):
            if part == "down_proj":
                stored[f"{stem}.{e}.w2.weight"] = matrices
            else:
                stored[f"{stem}.{e}.w1.weight"], stored[f"{stem}.{e}.w3.weight"] = matrices.chunk(2)
    return stored


# In double precision, experts are evaluated one by one.
COMMON = dict(
    vocab_size=37, bos_token_id=1, eos_token_id=2, max_position_embeddings=64,
    experts_implementation="eager")

CASES = {
    # LiquidAI/LFM2-8B-A1B: the first blocks have no experts.
    "lfm2_moe": Case(
        LFM2,
        Lfm2MoeConfig(
            **COMMON, hidden_size=12, num_hidden_layers=3, num_attention_heads=2,
            num_key_value_heads=1, intermediate_size=14, moe_intermediate_size=6,
            num_dense_layers=1, num_experts=4, num_experts_per_tok=2,
            layer_types=["conv", "full_attention", "conv"]),
        seed=751, cross=(6, 7), length=8, published=PUBLISHED, stored=apart),
    # Experts in every block, in one tensor, without corrections, with weights that are not normalised, times a
    # factor.
    "lfm2_moe-odd": Case(
        LFM2,
        Lfm2MoeConfig(
            **COMMON, hidden_size=9, num_hidden_layers=2, num_attention_heads=1,
            num_key_value_heads=1, head_dim=6, intermediate_size=7, moe_intermediate_size=5,
            num_dense_layers=0, num_experts=3, num_experts_per_tok=1, use_expert_bias=False,
            norm_topk_prob=False, routed_scaling_factor=1.7, conv_bias=True, conv_L_cache=4,
            norm_eps=1e-3, tie_word_embeddings=False, layer_types=["conv", "full_attention"]),
        seed=752, cross=(2, 5), length=7, published=PUBLISHED),
}
