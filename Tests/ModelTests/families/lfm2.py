import dataclasses

from transformers import Lfm2Config

from make_family_fixtures import Case, Published, older_rotary, respelled
from reference import LLAMA

LFM2 = dataclasses.replace(
    LLAMA, norm="model.embedding_norm", middle="ffn_norm",
    mlp=lambda block, z: block.feed_forward(block.ffn_norm(z)))

# LiquidAI/LFM2-1.2B: the indices of the blocks with attention.
PUBLISHED = Published(
    config=lambda config: respelled(
        older_rotary(config), {"layer_types": None}, full_attn_idxs=[1],
        block_ff_dim=config["intermediate_size"],
        tie_embedding=config["tie_word_embeddings"]),
    # transformers keeps the list of indices as well.
    same=False)

COMMON = dict(vocab_size=37, bos_token_id=1, eos_token_id=2, max_position_embeddings=64)

CASES = {
    "lfm2": Case(
        LFM2,
        Lfm2Config(
            **COMMON, hidden_size=16, num_hidden_layers=3, num_attention_heads=4,
            num_key_value_heads=2, intermediate_size=33, block_multiple_of=8,
            layer_types=["conv", "full_attention", "conv"]),
        seed=711, cross=(5, 7), published=PUBLISHED),
    # Biases, a kernel of five tokens, the cross Jacobians from its second token, an MLP of the stated width.
    "lfm2-odd": Case(
        LFM2,
        Lfm2Config(
            **COMMON, hidden_size=18, num_hidden_layers=2, num_attention_heads=3,
            num_key_value_heads=3, intermediate_size=13, conv_bias=True, conv_L_cache=5,
            block_auto_adjust_ff_dim=False, norm_eps=1e-3, tie_word_embeddings=False,
            layer_types=["full_attention", "conv"],
            rope_parameters=dict(rope_type="default", rope_theta=200.0)),
        seed=712, cross=(1, 5), length=7, published=Published(config=older_rotary)),
}
