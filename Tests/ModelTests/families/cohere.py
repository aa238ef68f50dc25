from transformers import Cohere2Config, CohereConfig

from make_family_fixtures import Case, Published, older_rotary, respelled
from reference import Anatomy

COHERE = Anatomy(
    blocks="model.layers", norm="model.norm", head="lm_head",
    mlp=lambda block, x: block.mlp(block.input_layernorm(x)),
    logits=lambda model, y: y * model.logit_scale)


def windowed(config):
    """CohereLabs/c4ai-command-r7b-12-2024: a period instead of a list of layers."""
    return respelled(older_rotary(config), {"layer_types": None}, sliding_window_pattern=4, rotary_pct=1.0)


COMMON = dict(
    vocab_size=31, bos_token_id=1, eos_token_id=2, pad_token_id=0, max_position_embeddings=64)

CASES = {
    "cohere": Case(
        COHERE,
        CohereConfig(
            **COMMON, hidden_size=16, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, intermediate_size=24),
        seed=321, published=Published(config=older_rotary)),
    # Norms of heads as in Command R+, and a separate head.
    "cohere-normed": Case(
        COHERE,
        CohereConfig(
            **COMMON, hidden_size=18, num_hidden_layers=2, num_attention_heads=3,
            num_key_value_heads=1, intermediate_size=19, use_qk_norm=True, attention_bias=True,
            logit_scale=1.7, layer_norm_eps=1e-3, hidden_act="gelu",
            rope_parameters=dict(rope_type="default", rope_theta=500.0)),
        seed=322, cross=(0, 5), length=7, published=Published(config=older_rotary)),
    # The fourth of five blocks sees all tokens.
    "cohere2": Case(
        COHERE,
        Cohere2Config(
            **COMMON, hidden_size=12, num_hidden_layers=5, num_attention_heads=2,
            num_key_value_heads=1, intermediate_size=14, sliding_window=4, logit_scale=0.25),
        seed=323, published=Published(config=windowed)),
    "cohere2-odd": Case(
        COHERE,
        Cohere2Config(
            **COMMON, hidden_size=14, num_hidden_layers=2, num_attention_heads=1,
            intermediate_size=19, sliding_window=2, attention_bias=True, layer_norm_eps=1e-3,
            layer_types=["full_attention", "sliding_attention"], hidden_act="gelu",
            tie_word_embeddings=False,
            rope_parameters=dict(rope_type="linear", rope_theta=500.0, factor=2.0)),
        seed=324, cross=(3, 5), length=7, published=Published(config=older_rotary)),
}
