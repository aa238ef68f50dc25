from transformers import GPTNeoConfig

from make_family_fixtures import Case, Published, older_rotary, respelled
from reference import Anatomy

GPT_NEO = Anatomy(
    blocks="transformer.h", norm="transformer.ln_f", head="lm_head", middle="ln_2",
    mlp=lambda block, z: block.mlp(block.ln_2(z)))

# EleutherAI/gpt-neo-1.3B: the tensors include masks.
PUBLISHED = Published(
    config=lambda config: respelled(
        older_rotary(config), {"tie_word_embeddings": None}, gradient_checkpointing=False),
    buffers={
        f"transformer.h.{l}.attn.attention.{name}": shape
        for l in range(3) for name, shape in {"bias": (1, 1, 24, 24), "masked_bias": ()}.items()})

COMMON = dict(vocab_size=31, max_position_embeddings=24, bos_token_id=1, eos_token_id=2)

CASES = {
    # A window of 4 and a prompt of 10; the cross pair lies just inside the window.
    "gpt_neo": Case(
        GPT_NEO,
        GPTNeoConfig(
            **COMMON, hidden_size=20, num_layers=3, num_heads=2, intermediate_size=28, window_size=4,
            attention_types=[[["global", "local"], 1], [["local"], 1]]),
        seed=201, length=10, cross=(6, 9), published=PUBLISHED),
    # One head, and a window of one token.
    "gpt_neo-odd": Case(
        GPT_NEO,
        GPTNeoConfig(
            **COMMON, hidden_size=18, num_layers=2, num_heads=1, window_size=1,
            attention_types=[[["local", "global"], 1]], activation_function="gelu",
            tie_word_embeddings=False),
        seed=202, length=7, cross=(2, 5)),
}
