from transformers import OlmoeConfig

from make_family_fixtures import Case, Published, experts_apart, older_rotary
from reference import LLAMA

# allenai/OLMoE-1B-7B-0924.
PUBLISHED = Published(config=older_rotary)

# In double precision, experts are evaluated one by one.
COMMON = dict(
    vocab_size=37, bos_token_id=1, eos_token_id=2, max_position_embeddings=64,
    experts_implementation="eager")

CASES = {
    "olmoe": Case(
        LLAMA,
        OlmoeConfig(
            **COMMON, hidden_size=12, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=1, intermediate_size=7, num_experts=5, num_experts_per_tok=2),
        seed=421, published=PUBLISHED, stored=experts_apart),
    # About half of the queries, keys and values are clipped.
    "olmoe-odd": Case(
        LLAMA,
        OlmoeConfig(
            **COMMON, hidden_size=10, num_hidden_layers=2, num_attention_heads=1,
            intermediate_size=6, num_experts=3, num_experts_per_tok=2, norm_topk_prob=True,
            attention_bias=True, clip_qkv=0.8, rms_norm_eps=1e-3, tie_word_embeddings=True),
        seed=422, cross=(0, 5), length=7, published=PUBLISHED),
}
