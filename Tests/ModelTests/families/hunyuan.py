from transformers import HunYuanDenseV1Config

from make_family_fixtures import Case, Published, older_rotary
from reference import LLAMA


def published(config):
    """tencent/Hunyuan-0.5B-Instruct: with keys that transformers does not read."""
    return older_rotary(config) | {"use_qk_norm": True, "norm_type": "rms", "use_mla": False}


COMMON = dict(
    vocab_size=31, bos_token_id=1, eos_token_id=2, pad_token_id=0, max_position_embeddings=64)

CASES = {
    # The scaling called dynamic is a larger theta.
    "hunyuan_v1_dense": Case(
        LLAMA,
        HunYuanDenseV1Config(
            **COMMON, hidden_size=16, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, head_dim=6, intermediate_size=24, tie_word_embeddings=True,
            rope_parameters=dict(
                rope_type="dynamic", rope_theta=1000.0, factor=1.0, alpha=50.0, beta_fast=32,
                beta_slow=1, mscale=1.0, mscale_all_dim=1.0)),
        seed=391, published=Published(config=published)),
    "hunyuan_v1_dense-odd": Case(
        LLAMA,
        HunYuanDenseV1Config(
            **COMMON, hidden_size=14, num_hidden_layers=2, num_attention_heads=1,
            head_dim=14, intermediate_size=19, attention_bias=True, hidden_act="gelu",
            rms_norm_eps=1e-3,
            rope_parameters=dict(rope_type="linear", rope_theta=500.0, factor=2.0)),
        seed=392, cross=(0, 5), length=7, published=Published(config=published)),
}
