from transformers import GPT2Config

from make_family_fixtures import Case, Published, older_rotary, respelled
from reference import Anatomy

GPT2 = Anatomy(
    blocks="transformer.h", norm="transformer.ln_f", head="lm_head", middle="ln_2",
    mlp=lambda block, z: block.mlp(block.ln_2(z)))

# openai-community/gpt2: tensors without a prefix, including the causal mask.
PUBLISHED = Published(
    config=lambda config: respelled(
        older_rotary(config),
        dict.fromkeys([
            "add_cross_attention", "reorder_and_upcast_attn", "scale_attn_by_inverse_layer_idx",
            "scale_attn_weights", "tie_word_embeddings", "n_inner"]),
        n_ctx=config["n_positions"]),
    prefix=("transformer.", ""),
    buffers={f"h.{l}.attn.bias": (1, 1, 24, 24) for l in range(3)})

COMMON = dict(vocab_size=31, n_positions=24, bos_token_id=1, eos_token_id=2)

CASES = {
    "gpt2": Case(
        GPT2, GPT2Config(**COMMON, n_embd=20, n_layer=3, n_head=2), seed=101, published=PUBLISHED),
    # One head, no scale except the block's number, a separate head.
    "gpt2-odd": Case(
        GPT2,
        GPT2Config(
            **COMMON, n_embd=18, n_layer=2, n_head=1, n_inner=25, activation_function="relu",
            layer_norm_epsilon=1e-3, scale_attn_weights=False, scale_attn_by_inverse_layer_idx=True,
            tie_word_embeddings=False),
        seed=102, cross=(0, 5), length=7),
}
