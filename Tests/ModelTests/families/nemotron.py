from transformers import NemotronConfig

from make_family_fixtures import Case, Published, older_rotary
from reference import LLAMA

# nvidia/Minitron-4B-Base.
PUBLISHED = Published(config=older_rotary)

COMMON = dict(vocab_size=31, bos_token_id=1, eos_token_id=2, max_position_embeddings=64)

CASES = {
    "nemotron": Case(
        LLAMA,
        NemotronConfig(
            **COMMON, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=1, head_dim=8, intermediate_size=24),
        seed=371, published=PUBLISHED),
    # An independent head size, of which 6 of 10 features rotate.
    "nemotron-odd": Case(
        LLAMA,
        NemotronConfig(
            **COMMON, hidden_size=14, num_hidden_layers=2, num_attention_heads=1,
            num_key_value_heads=1, head_dim=10, intermediate_size=19, attention_bias=True,
            mlp_bias=True, hidden_act="gelu", norm_eps=1e-3, tie_word_embeddings=True,
            rope_parameters=dict(
                rope_type="linear", rope_theta=500.0, factor=2.0, partial_rotary_factor=0.6)),
        seed=372, cross=(0, 5), length=7, published=PUBLISHED),
}
