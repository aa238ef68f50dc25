import torch
from transformers import ApertusConfig

from make_family_fixtures import Case, Published, older_rotary
from reference import Anatomy

APERTUS = Anatomy(
    blocks="model.layers", norm="model.norm", head="lm_head", middle="feedforward_layernorm",
    mlp=lambda block, z: block.mlp(block.feedforward_layernorm(z)))


def published(config):
    """swiss-ai/Apertus-8B-Instruct-2509: with keys that transformers does not read."""
    return older_rotary(config) | {"qk_norm": True, "post_norm": False, "mlp_bias": False}


def stored(state):
    """The slope of the activation and its limit are not parameters, but are stored."""
    stems = [name.removesuffix("alpha_p") for name in state if name.endswith("alpha_p")]
    return state | {s + k: torch.tensor(v) for s in stems for k, v in [("beta", 0.5), ("eps", -1e-6)]}


COMMON = dict(
    vocab_size=31, bos_token_id=1, eos_token_id=2, pad_token_id=0, max_position_embeddings=64)

CASES = {
    "apertus": Case(
        APERTUS,
        ApertusConfig(
            **COMMON, hidden_size=16, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, intermediate_size=24,
            rope_parameters=dict(
                rope_type="llama3", rope_theta=1000.0, factor=8.0, low_freq_factor=1.0,
                high_freq_factor=4.0, original_max_position_embeddings=16)),
        seed=411, published=Published(config=published), stored=stored),
    # An activation that is not learned, and the default frequencies.
    "apertus-odd": Case(
        APERTUS,
        ApertusConfig(
            **COMMON, hidden_size=14, num_hidden_layers=2, num_attention_heads=1,
            intermediate_size=19, attention_bias=True, hidden_act="gelu", rms_norm_eps=1e-3,
            tie_word_embeddings=True),
        seed=412, cross=(0, 5), length=7, published=Published(config=published), stored=stored),
}
