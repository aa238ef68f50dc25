import dataclasses

from transformers import FalconConfig

from make_family_fixtures import Case, Published, older_rotary, respelled
from reference import Anatomy

ONE_NORM = Anatomy(
    blocks="transformer.h", norm="transformer.ln_f", head="lm_head",
    mlp=lambda block, z: block.mlp(block.input_layernorm(z)))
TWO_NORMS = dataclasses.replace(ONE_NORM, mlp=lambda block, z: block.mlp(block.ln_mlp(z)))
# With ALiBi, "eager" adds the biases twice.
SEQUENTIAL = dataclasses.replace(
    ONE_NORM, middle="post_attention_layernorm", attention="sdpa",
    mlp=lambda block, z: block.mlp(block.post_attention_layernorm(z)))


def refined_web(model_type, *left_out):
    """tiiuae/falcon-7b and falcon-40b as first published: another name, and fewer keys."""
    renamed = {
        "num_attention_heads": "n_head", "num_hidden_layers": "n_layer", "num_kv_heads": "n_head_kv"}
    left = (
        "activation", "ffn_hidden_size", "max_position_embeddings", "new_decoder_architecture",
        "num_ln_in_parallel_attn", "rope_theta", "rope_scaling", "tie_word_embeddings", *left_out)
    return Published(
        config=lambda config: respelled(
            older_rotary(config), renamed | dict.fromkeys(left), model_type=model_type,
            apply_residual_connection_post_layernorm=False),
        same=False,
        buffers={f"transformer.h.{l}.self_attention.rotary_emb.inv_freq": (3,) for l in range(2)})


COMMON = dict(vocab_size=31, num_hidden_layers=2, bos_token_id=1, eos_token_id=2)
ROPE = {"rope_type": "default", "rope_theta": 10000.0}

CASES = {
    # As in 7b: a single key-value head.
    "falcon": Case(
        ONE_NORM, FalconConfig(**COMMON, hidden_size=18, num_attention_heads=3, rope_parameters=ROPE),
        seed=901, published=refined_web("RefinedWebModel", "num_kv_heads")),
    # As in 40b: groups of heads, a norm for each half.
    "falcon-two-norms": Case(
        TWO_NORMS,
        FalconConfig(
            **COMMON, hidden_size=24, num_attention_heads=4, num_kv_heads=2, rope_parameters=ROPE,
            new_decoder_architecture=True),
        seed=902, length=8, cross=(2, 5), published=refined_web("RefinedWeb", "multi_query")),
    # As in 11b: groups of heads, one norm.
    "falcon-one-norm": Case(
        ONE_NORM,
        FalconConfig(
            **COMMON, hidden_size=24, num_attention_heads=6, num_kv_heads=3, rope_parameters=ROPE,
            new_decoder_architecture=True, num_ln_in_parallel_attn=1, ffn_hidden_size=25,
            max_position_embeddings=24, layer_norm_epsilon=1e-3, tie_word_embeddings=False),
        seed=903, published=Published(config=older_rotary)),
    # As in rw: ALiBi with slopes that bfloat16 cannot represent, one half after the other, biases.
    "falcon-alibi": Case(
        SEQUENTIAL,
        FalconConfig(
            **COMMON, hidden_size=18, num_attention_heads=3, ffn_hidden_size=25, alibi=True, bias=True,
            multi_query=False, parallel_attn=False),
        seed=904, length=12, cross=(3, 10),
        published=Published(config=lambda config: respelled(
            older_rotary(config), {"rope_theta": None, "rope_scaling": None},
            apply_residual_connection_post_layernorm=False))),
}
