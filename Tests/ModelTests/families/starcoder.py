from transformers import GPTBigCodeConfig, Starcoder2Config

from make_family_fixtures import Case, Published, older_rotary
from reference import LLAMA, Anatomy

BIG_CODE = Anatomy(
    blocks="transformer.h", norm="transformer.ln_f", head="lm_head", middle="ln_2",
    mlp=lambda block, z: block.mlp(block.ln_2(z)))

# bigcode/starcoderbase-1b and bigcode/starcoder2-3b.
PUBLISHED = Published(config=older_rotary)

COMMON = dict(vocab_size=31, bos_token_id=1, eos_token_id=2)

CASES = {
    "gpt_bigcode": Case(
        BIG_CODE,
        GPTBigCodeConfig(**COMMON, n_positions=24, n_embd=16, n_layer=2, n_head=4),
        seed=351, published=PUBLISHED),
    # Every head has its own key; unscaled scores.
    "gpt_bigcode-odd": Case(
        BIG_CODE,
        GPTBigCodeConfig(
            **COMMON, n_positions=24, n_embd=12, n_layer=2, n_head=3, n_inner=19,
            multi_query=False, scale_attn_weights=False, activation_function="relu",
            layer_norm_epsilon=1e-3, tie_word_embeddings=False),
        seed=352, cross=(0, 5), length=7, published=PUBLISHED),
    "starcoder2": Case(
        LLAMA,
        Starcoder2Config(
            **COMMON, max_position_embeddings=64, hidden_size=16, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, intermediate_size=24, sliding_window=5),
        seed=353, cross=(3, 6), published=PUBLISHED),
    "starcoder2-odd": Case(
        LLAMA,
        Starcoder2Config(
            **COMMON, max_position_embeddings=64, hidden_size=14, num_hidden_layers=2,
            num_attention_heads=1, num_key_value_heads=1, intermediate_size=19, use_bias=False,
            norm_epsilon=1e-3, hidden_act="silu", tie_word_embeddings=False,
            rope_parameters=dict(rope_type="linear", rope_theta=500.0, factor=2.0)),
        seed=354, cross=(0, 5), length=7, published=PUBLISHED),
}
