from transformers import SeedOssConfig

from make_family_fixtures import Case, Published, older_rotary
from reference import LLAMA


def published(config):
    """ByteDance-Seed/Seed-OSS-36B-Instruct: scaling without effect."""
    config = older_rotary(config)
    return config | {"rope_scaling": config["rope_scaling"] or {"rope_type": "default"}}


COMMON = dict(
    vocab_size=31, bos_token_id=1, eos_token_id=2, pad_token_id=0, max_position_embeddings=64)

CASES = {
    "seed_oss": Case(
        LLAMA,
        SeedOssConfig(
            **COMMON, hidden_size=16, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, head_dim=6, intermediate_size=24),
        seed=331, published=Published(config=published)),
    # Biases where the plain model has none, and the other way round.
    "seed_oss-odd": Case(
        LLAMA,
        SeedOssConfig(
            **COMMON, hidden_size=14, num_hidden_layers=2, num_attention_heads=1,
            num_key_value_heads=None, head_dim=None, intermediate_size=19, attention_bias=False,
            attention_out_bias=True, mlp_bias=True, hidden_act="relu", rms_norm_eps=1e-3,
            tie_word_embeddings=True,
            rope_parameters=dict(rope_type="linear", rope_theta=500.0, factor=2.0)),
        seed=332, cross=(0, 5), length=7, published=Published(config=published)),
}
