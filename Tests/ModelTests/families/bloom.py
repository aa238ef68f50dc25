import dataclasses

import torch
from transformers import BloomConfig
from transformers.models.bloom import modeling_bloom

from make_family_fixtures import Case, Published, older_rotary, respelled
from reference import Anatomy

# It writes √(2/π) with eight digits, in the function and in its own derivative: raised to float64 like float32
# operations.
modeling_bloom.BloomGelu.forward = lambda _, x: torch.nn.functional.gelu(x, approximate="tanh")


def normed(block, z):
    h = block.post_attention_layernorm(z)
    return block.mlp(h, h) - z


BLOOM = Anatomy(
    blocks="transformer.h", norm="transformer.ln_f", head="lm_head", middle="post_attention_layernorm",
    mlp=lambda block, z: block.mlp(block.post_attention_layernorm(z), 0 * z))

# bigscience/bloom-560m: no prefix.
PUBLISHED = Published(
    config=lambda config: respelled(
        older_rotary(config),
        {"hidden_size": "n_embed", "n_head": "num_attention_heads", "tie_word_embeddings": None,
         "slow_but_exact": None},
        attention_softmax_in_fp32=True, bias_dropout_fusion=True, masked_softmax_fusion=True, n_inner=None,
        offset_alibi=100, seq_length=2048, skip_bias_add=True, skip_bias_add_qkv=False),
    prefix=("transformer.", ""))

COMMON = dict(vocab_size=31, n_layer=2, bos_token_id=1, eos_token_id=2)

CASES = {
    # Six heads: the slopes of four, and two from those of eight.
    "bloom": Case(BLOOM, BloomConfig(**COMMON, hidden_size=18, n_head=6), seed=701, published=PUBLISHED),
    # One head, and sums that start from the normalised stream.
    "bloom-normed": Case(
        dataclasses.replace(BLOOM, mlp=normed),
        BloomConfig(
            **COMMON, hidden_size=14, n_head=1, apply_residual_connection_post_layernorm=True,
            layer_norm_epsilon=1e-3, tie_word_embeddings=False),
        seed=702, length=7, cross=(1, 4)),
}
