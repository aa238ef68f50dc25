import dataclasses

from transformers import PersimmonConfig

from make_family_fixtures import Case, Published, older_rotary
from reference import LLAMA

PERSIMMON = dataclasses.replace(LLAMA, norm="model.final_layernorm")

# adept/persimmon-8b-base.
PUBLISHED = Published(config=older_rotary)

COMMON = dict(vocab_size=31, bos_token_id=1, eos_token_id=2, max_position_embeddings=64)

CASES = {
    "persimmon": Case(
        PERSIMMON,
        PersimmonConfig(
            **COMMON, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=24),
        seed=421, published=PUBLISHED),
    # 6 of a head's 10 features rotate.
    "persimmon-odd": Case(
        PERSIMMON,
        PersimmonConfig(
            **COMMON, hidden_size=10, num_hidden_layers=2, num_attention_heads=1,
            intermediate_size=19, qk_layernorm=False, hidden_act="gelu", layer_norm_eps=1e-3,
            tie_word_embeddings=True,
            rope_parameters=dict(
                rope_type="linear", rope_theta=500.0, factor=2.0, partial_rotary_factor=0.6)),
        seed=422, cross=(0, 5), length=7, published=PUBLISHED),
}
