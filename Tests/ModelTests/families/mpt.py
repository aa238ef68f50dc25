from transformers import MptConfig

from make_family_fixtures import Case, Published, older_rotary, respelled
from reference import Anatomy

MPT = Anatomy(
    blocks="transformer.blocks", norm="transformer.norm_f", head="lm_head", middle="norm_2",
    mlp=lambda block, z: block.ffn(block.norm_2(z), 0 * z))


def published(config):
    """mosaicml/mpt-7b."""
    attention = config["attn_config"]
    keys = (
        "alibi alibi_bias_max attn_impl attn_pdrop attn_type attn_uses_sequence_id clip_qkv prefix_lm qk_ln "
        "softmax_scale"
    ).split()
    return respelled(
        older_rotary(config),
        dict.fromkeys(["tie_word_embeddings", "layer_norm_epsilon", "initializer_range"]),
        attn_config={key: attention[key] for key in keys}, init_config={"name": "kaiming_normal_"},
        tokenizer_name="EleutherAI/gpt-neox-20b", verbose=0)


COMMON = dict(vocab_size=31, n_layers=2, max_seq_len=24, bos_token_id=1, eos_token_id=2)

CASES = {
    # A number of heads that is not a power of two; queries, keys and values are often clipped.
    "mpt": Case(
        MPT, MptConfig(**COMMON, d_model=18, n_heads=3, attn_config={"clip_qkv": 1.1}), seed=801,
        published=Published(config=published)),
    "mpt-odd": Case(
        MPT,
        MptConfig(
            **COMMON, d_model=14, n_heads=1, attn_config={"softmax_scale": 0.4}, layer_norm_epsilon=1e-3,
            tie_word_embeddings=False),
        seed=802, length=7, cross=(1, 4)),
}
