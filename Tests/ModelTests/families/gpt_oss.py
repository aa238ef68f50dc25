import dataclasses

from transformers import GptOssConfig

from make_family_fixtures import Case, Published, older_rotary, respelled
from reference import LLAMA

GPT_OSS = dataclasses.replace(
    LLAMA, mlp=lambda block, z: block.mlp(block.post_attention_layernorm(z))[0])

# openai/gpt-oss-20b, except for MXFP4.
PUBLISHED = Published(
    config=lambda config: respelled(
        older_rotary(config), {}, experts_per_token=config["num_experts_per_tok"],
        initial_context_length=16))

# In double precision, experts are evaluated one by one.
COMMON = dict(
    vocab_size=37, bos_token_id=1, eos_token_id=2, max_position_embeddings=64,
    experts_implementation="eager")

CASES = {
    # Gates and ups are clamped at 0.9, which affects some of them.
    "gpt_oss": Case(
        GPT_OSS,
        GptOssConfig(
            **COMMON, hidden_size=12, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, head_dim=6, intermediate_size=8, num_local_experts=4,
            num_experts_per_tok=2, sliding_window=3, swiglu_limit=0.9,
            rope_parameters=dict(
                rope_type="yarn", rope_theta=150000.0, factor=32.0, beta_fast=7.5, beta_slow=0.3,
                original_max_position_embeddings=16, truncate=False)),
        seed=401, published=PUBLISHED),
    # The kinds of blocks in reverse, no biases in attention, one expert.
    "gpt_oss-odd": Case(
        GPT_OSS,
        GptOssConfig(
            **COMMON, hidden_size=10, num_hidden_layers=3, num_attention_heads=1,
            num_key_value_heads=1, head_dim=8, intermediate_size=5, num_local_experts=3,
            num_experts_per_tok=1, sliding_window=4, swiglu_limit=1.5, swiglu_alpha=1.1,
            layer_types=["full_attention", "sliding_attention", "full_attention"],
            attention_bias=False, rms_norm_eps=1e-3, tie_word_embeddings=True,
            rope_parameters=dict(rope_type="linear", rope_theta=200.0, factor=2.0)),
        seed=402, cross=(4, 6), length=8, published=PUBLISHED),
}
