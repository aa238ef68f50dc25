from transformers import GPTNeoXConfig

from make_family_fixtures import Case, Published, older_rotary, respelled
from reference import Anatomy

PARALLEL = Anatomy(
    blocks="gpt_neox.layers", norm="gpt_neox.final_layer_norm", head="lm_head",
    mlp=lambda block, z: block.mlp(block.post_attention_layernorm(z)))
SEQUENTIAL = Anatomy(
    blocks="gpt_neox.layers", norm="gpt_neox.final_layer_norm", head="lm_head",
    middle="post_attention_layernorm", mlp=PARALLEL.mlp)

# EleutherAI/pythia-70m: rotary_pct, and tensors that include masks and frequencies.
PUBLISHED = Published(
    config=lambda config: respelled(
        older_rotary(config, theta="rotary_emb_base", share="rotary_pct"), {"is_decoder": None}),
    buffers={
        f"gpt_neox.layers.{l}.attention.{name}": shape
        for l in range(2)
        for name, shape in {
            "bias": (1, 1, 24, 24), "masked_bias": (), "rotary_emb.inv_freq": (2,)}.items()})

COMMON = dict(
    vocab_size=31, num_hidden_layers=2, max_position_embeddings=24, bos_token_id=1, eos_token_id=2)


def stored(state):
    """The head under its published name."""
    return {k.replace("lm_head.", "embed_out."): v for k, v in state.items()}


CASES = {
    "gpt_neox": Case(
        PARALLEL,
        GPTNeoXConfig(
            **COMMON, hidden_size=32, num_attention_heads=2, intermediate_size=36,
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.25}),
        seed=301, published=PUBLISHED, stored=stored),
    # One head, scaled rotation of 6 of its 18 features, no biases in the attention.
    "gpt_neox-sequential": Case(
        SEQUENTIAL,
        GPTNeoXConfig(
            **COMMON, hidden_size=18, num_attention_heads=1, intermediate_size=25,
            rope_parameters={
                "rope_type": "linear", "factor": 2.5, "rope_theta": 500.0, "partial_rotary_factor": 0.37},
            use_parallel_residual=False, attention_bias=False, hidden_act="gelu_new",
            layer_norm_eps=1e-3),
        seed=302, length=7, cross=(1, 4), published=PUBLISHED),
}
