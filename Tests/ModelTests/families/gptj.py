from transformers import GPTJConfig

from make_family_fixtures import Case, Published, older_rotary, respelled
from reference import Anatomy

GPTJ = Anatomy(
    blocks="transformer.h", norm="transformer.ln_f", head="lm_head",
    mlp=lambda block, z: block.mlp(block.ln_1(z)))

# EleutherAI/gpt-j-6B: the tensors include masks.
PUBLISHED = Published(
    config=lambda config: respelled(
        older_rotary(config), {}, gradient_checkpointing=False, rotary=True, scale_attn_weights=True),
    buffers={
        f"transformer.h.{l}.attn.{name}": shape
        for l in range(2) for name, shape in {"bias": (1, 1, 24, 24), "masked_bias": ()}.items()})

COMMON = dict(vocab_size=31, n_layer=2, n_positions=24, bos_token_id=1, eos_token_id=2)

CASES = {
    "gptj": Case(
        GPTJ, GPTJConfig(**COMMON, n_embd=24, n_head=3, rotary_dim=4), seed=401, published=PUBLISHED),
    # One head, fully rotated; the output head is tied, but has its own bias.
    "gptj-odd": Case(
        GPTJ,
        GPTJConfig(
            **COMMON, n_embd=18, n_head=1, rotary_dim=18, n_inner=25, layer_norm_epsilon=1e-3,
            activation_function="relu", tie_word_embeddings=True),
        seed=402, length=7, cross=(0, 5)),
}
