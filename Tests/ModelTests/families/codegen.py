from transformers import CodeGenConfig

from make_family_fixtures import Case, Published, older_rotary, respelled
from reference import Anatomy

CODEGEN = Anatomy(
    blocks="transformer.h", norm="transformer.ln_f", head="lm_head",
    mlp=lambda block, x: block.mlp(block.ln_1(x)))

# Salesforce/codegen-350M-mono: the tensors include the causal mask.
PUBLISHED = Published(
    config=lambda config: respelled(older_rotary(config), {"n_inner": None} if config["n_inner"] is None else {}),
    buffers={f"transformer.h.{l}.attn.causal_mask": (1, 1, 24, 24) for l in range(2)})

COMMON = dict(vocab_size=31, n_positions=24, n_ctx=24, bos_token_id=1, eos_token_id=2)

CASES = {
    "codegen": Case(
        CODEGEN, CodeGenConfig(**COMMON, n_embd=16, n_layer=2, n_head=2, rotary_dim=4), seed=431,
        published=PUBLISHED),
    # Three heads for four machines, fully rotated.
    "codegen-odd": Case(
        CODEGEN,
        CodeGenConfig(
            **COMMON, n_embd=12, n_layer=2, n_head=3, rotary_dim=4, n_inner=19,
            activation_function="relu", layer_norm_epsilon=1e-3, tie_word_embeddings=True),
        seed=432, cross=(0, 5), length=7, published=PUBLISHED),
}
