from transformers import Gemma2Config, GemmaConfig

from make_family_fixtures import Case, Published, older_rotary, respelled
from reference import LLAMA, Anatomy


def capped(model, y):
    cap = model.config.final_logit_softcapping
    return cap * (y / cap).tanh() if cap else y


GEMMA2 = Anatomy(
    blocks="model.layers", norm="model.norm", head="lm_head", middle="pre_feedforward_layernorm",
    mlp=lambda block, z: block.post_feedforward_layernorm(
        block.mlp(block.pre_feedforward_layernorm(z))),
    logits=capped)

# google/gemma-7b says gelu and means its tanh approximation; its head is the embedding without a word.
PUBLISHED = Published(
    config=lambda config: respelled(
        older_rotary(config), {"tie_word_embeddings": None}, hidden_act="gelu"))
# google/gemma-2-9b: no list of the blocks' kinds, and keys of other implementations besides.
PUBLISHED2 = Published(
    config=lambda config: respelled(
        older_rotary(config), {"layer_types": None}, hidden_act="gelu_pytorch_tanh",
        cache_implementation="hybrid", sliding_window_size=config["sliding_window"]))

COMMON = dict(vocab_size=37, max_position_embeddings=64)

CASES = {
    "gemma": Case(
        LLAMA,
        GemmaConfig(
            **COMMON, hidden_size=18, num_hidden_layers=3, num_attention_heads=3,
            num_key_value_heads=1, head_dim=8, intermediate_size=26),
        seed=211, published=PUBLISHED),
    # Biases, a head of its own, one head of attention.
    "gemma-odd": Case(
        LLAMA,
        GemmaConfig(
            **COMMON, hidden_size=15, num_hidden_layers=2, num_attention_heads=1,
            num_key_value_heads=1, head_dim=22, intermediate_size=21, attention_bias=True,
            hidden_act="silu", rms_norm_eps=1e-3, tie_word_embeddings=False,
            rope_parameters=dict(rope_type="linear", rope_theta=500.0, factor=2.5)),
        seed=212, cross=(1, 5), length=7, published=Published(config=older_rotary)),
    # Caps that are felt, every other block in a window of 4.
    "gemma2": Case(
        GEMMA2,
        Gemma2Config(
            **COMMON, hidden_size=20, num_hidden_layers=3, num_attention_heads=4,
            num_key_value_heads=2, head_dim=6, intermediate_size=30, query_pre_attn_scalar=11,
            sliding_window=4, attn_logit_softcapping=2.5, final_logit_softcapping=3.5),
        seed=213, cross=(5, 8), length=10, published=PUBLISHED2),
    # No caps, no windows, the defaults of what is not said.
    "gemma2-odd": Case(
        GEMMA2,
        Gemma2Config(
            **COMMON, hidden_size=14, num_hidden_layers=2, num_attention_heads=1,
            num_key_value_heads=1, head_dim=18, intermediate_size=19, hidden_activation="relu",
            attn_logit_softcapping=None, final_logit_softcapping=None, attention_bias=True,
            layer_types=["full_attention"] * 2, tie_word_embeddings=False),
        seed=214, cross=(0, 6), length=7, published=Published(config=older_rotary)),
}
