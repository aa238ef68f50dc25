from transformers import Phi3Config

from make_family_fixtures import Case, Published, older_rotary, respelled
from reference import LLAMA


def published(config):
    """microsoft/Phi-3-mini-128k-instruct: scaling of the kind su."""
    config = older_rotary(config)
    scaling = config["rope_scaling"]
    if scaling:
        scaling["type"] = {"longrope": "su"}[scaling.pop("rope_type")]
        # The length is also given beside the scaling.
        del scaling["original_max_position_embeddings"]
    return respelled(config, {}, attention_bias=False)


COMMON = dict(vocab_size=37, bos_token_id=1, eos_token_id=2, pad_token_id=0)
LONGROPE = dict(
    rope_type="longrope", rope_theta=1000.0, partial_rotary_factor=0.75,
    short_factor=[1.0, 1.1, 1.5], long_factor=[1.2, 2.5, 7.0])

CASES = {
    "phi3": Case(
        LLAMA,
        Phi3Config(
            **COMMON, hidden_size=20, num_hidden_layers=3, num_attention_heads=2,
            num_key_value_heads=1, intermediate_size=30, max_position_embeddings=64,
            sliding_window=5),
        seed=231, cross=(3, 6), published=Published(config=published)),
    # A prompt longer than the original context, and heads of 8 features of which 6 rotate.
    "phi3-long": Case(
        LLAMA,
        Phi3Config(
            **COMMON, hidden_size=24, num_hidden_layers=2, num_attention_heads=3,
            intermediate_size=20, max_position_embeddings=64, original_max_position_embeddings=6,
            rope_parameters=dict(LONGROPE), tie_word_embeddings=True),
        # transformers 5 does not find the length beside this kind of scaling.
        seed=232, published=Published(config=published, same=False)),
    # 9 features of a head of 18 are to rotate, so 5 pairs do. One head.
    "phi3-odd": Case(
        LLAMA,
        Phi3Config(
            **COMMON, hidden_size=18, num_hidden_layers=2, num_attention_heads=1,
            intermediate_size=25, max_position_embeddings=32, hidden_act="relu", rms_norm_eps=1e-3,
            rope_parameters=dict(
                rope_type="default", rope_theta=500.0, partial_rotary_factor=0.5)),
        seed=233, cross=(0, 5), length=7, published=Published(config=published)),
}
