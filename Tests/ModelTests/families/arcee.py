from transformers import ArceeConfig

from make_family_fixtures import Case, Published, older_rotary
from reference import LLAMA

# arcee-ai/AFM-4.5B.
PUBLISHED = Published(config=older_rotary)

COMMON = dict(vocab_size=31, bos_token_id=1, eos_token_id=2, max_position_embeddings=64)

CASES = {
    "arcee": Case(
        LLAMA,
        ArceeConfig(
            **COMMON, hidden_size=16, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, intermediate_size=24,
            rope_parameters=dict(
                rope_type="yarn", rope_theta=1000.0, factor=4.0,
                original_max_position_embeddings=16)),
        seed=361, published=PUBLISHED),
    "arcee-odd": Case(
        LLAMA,
        ArceeConfig(
            **COMMON, hidden_size=14, num_hidden_layers=2, num_attention_heads=1,
            intermediate_size=19, attention_bias=True, mlp_bias=True, hidden_act="silu",
            rms_norm_eps=1e-3, tie_word_embeddings=True),
        seed=362, cross=(0, 5), length=7, published=PUBLISHED),
}
