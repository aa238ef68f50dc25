from transformers import PhiConfig

from make_family_fixtures import Case, Published, older_rotary
from reference import Anatomy

PHI = Anatomy(
    blocks="model.layers", norm="model.final_layernorm", head="lm_head",
    mlp=lambda block, z: block.mlp(block.input_layernorm(z)))

# microsoft/phi-2.
PUBLISHED = Published(config=older_rotary)

COMMON = dict(
    vocab_size=31, num_hidden_layers=2, max_position_embeddings=24, bos_token_id=1, eos_token_id=2)

CASES = {
    "phi": Case(
        PHI,
        PhiConfig(
            **COMMON, hidden_size=20, num_attention_heads=2, intermediate_size=36,
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.4}),
        seed=501, published=PUBLISHED),
    # Norms of the heads' queries and keys, three heads on one key-value head.
    "phi-normed": Case(
        PHI,
        PhiConfig(
            **COMMON, hidden_size=24, num_attention_heads=3, num_key_value_heads=1, intermediate_size=25,
            rope_parameters={"rope_type": "default", "rope_theta": 500.0, "partial_rotary_factor": 0.5},
            qk_layernorm=True, layer_norm_eps=1e-3, hidden_act="silu", tie_word_embeddings=True),
        seed=502, length=7, cross=(1, 4), published=PUBLISHED),
}
