from transformers import GraniteMoeHybridConfig

from make_family_fixtures import Case, Published, older_rotary, respelled
from reference import Anatomy

# The MLP half is not a separate module.
GRANITE = Anatomy(
    blocks="model.layers", norm="model.norm", head="lm_head",
    logits=lambda model, y: y / model.config.logits_scaling)

LEGACY = {"linear_attention": "mamba", "full_attention": "attention"}

# ibm-granite/granite-4.0-tiny-preview: older names of the kinds of blocks.
PUBLISHED = Published(
    config=lambda config: respelled(
        older_rotary(config), {}, layer_types=[LEGACY[kind] for kind in config["layer_types"]]),
    # transformers keeps these names.
    same=False)


def as_published(state):
    """The experts under their published names."""
    names = {
        "experts.gate_up_proj": "input_linear.weight", "experts.down_proj": "output_linear.weight",
        "router.weight": "router.layer.weight",
    }
    stored = {}
    for name, tensor in state.items():
        for here, there in names.items():
            name = name.replace("block_sparse_moe." + here, "block_sparse_moe." + there)
        stored[name] = tensor
    return stored


# In double precision, experts are evaluated one by one.
COMMON = dict(
    vocab_size=37, pad_token_id=0, bos_token_id=1, eos_token_id=2, max_position_embeddings=64,
    experts_implementation="eager")

CASES = {
    "granitemoehybrid": Case(
        GRANITE,
        GraniteMoeHybridConfig(
            **COMMON, hidden_size=12, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=1, intermediate_size=6, shared_intermediate_size=7,
            num_local_experts=4, num_experts_per_tok=2, mamba_n_heads=4, mamba_d_head=6,
            mamba_n_groups=2, mamba_d_state=3, attention_multiplier=0.2, embedding_multiplier=4.0,
            residual_multiplier=0.4, logits_scaling=3.0, position_embedding_type="nope",
            layer_types=["linear_attention", "full_attention"]),
        seed=771, cross=(2, 5), length=7, published=PUBLISHED, stored=as_published),
    # ibm-granite/granite-4.0-h-350m: no experts; here with rotary embeddings and biases.
    "granitemoehybrid-odd": Case(
        GRANITE,
        GraniteMoeHybridConfig(
            **COMMON, hidden_size=10, num_hidden_layers=2, num_attention_heads=1,
            num_key_value_heads=1, intermediate_size=6, shared_intermediate_size=7,
            num_local_experts=0, num_experts_per_tok=0, mamba_n_heads=5, mamba_d_head="auto",
            mamba_n_groups=1, mamba_d_state=3, mamba_d_conv=2, mamba_conv_bias=False,
            mamba_proj_bias=True, attention_bias=True, attention_multiplier=0.4,
            residual_multiplier=0.7, position_embedding_type="rope", rms_norm_eps=1e-3,
            time_step_limit=(0.2, 1.5), tie_word_embeddings=True,
            layer_types=["full_attention", "linear_attention"]),
        seed=772, cross=(0, 6), length=7, published=PUBLISHED),
}
