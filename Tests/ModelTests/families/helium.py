from transformers import HeliumConfig

from make_family_fixtures import Case, Published, older_rotary
from reference import LLAMA

# kyutai/helium-1-2b.
PUBLISHED = Published(config=older_rotary)

COMMON = dict(
    vocab_size=31, bos_token_id=1, eos_token_id=2, pad_token_id=0, max_position_embeddings=64)

CASES = {
    "helium": Case(
        LLAMA,
        HeliumConfig(
            **COMMON, hidden_size=16, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, head_dim=4, intermediate_size=24),
        seed=381, published=PUBLISHED),
    "helium-odd": Case(
        LLAMA,
        HeliumConfig(
            **COMMON, hidden_size=14, num_hidden_layers=2, num_attention_heads=1,
            num_key_value_heads=1, head_dim=14, intermediate_size=19, attention_bias=True,
            mlp_bias=True, hidden_act="gelu", rms_norm_eps=1e-3, tie_word_embeddings=True,
            rope_parameters=dict(rope_type="linear", rope_theta=500.0, factor=2.0)),
        seed=382, cross=(0, 5), length=7, published=PUBLISHED),
}
