from transformers import GraniteConfig

from make_family_fixtures import Case, Published, older_rotary
from reference import Anatomy

GRANITE = Anatomy(
    blocks="model.layers", norm="model.norm", head="lm_head", middle="post_attention_layernorm",
    mlp=lambda block, z: block.residual_multiplier * block.mlp(block.post_attention_layernorm(z)),
    logits=lambda model, y: y / model.config.logits_scaling)

# ibm-granite/granite-3.1-2b-instruct.
PUBLISHED = Published(config=older_rotary)

COMMON = dict(
    vocab_size=31, bos_token_id=1, eos_token_id=2, pad_token_id=0, max_position_embeddings=64)

CASES = {
    "granite": Case(
        GRANITE,
        GraniteConfig(
            **COMMON, hidden_size=16, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, intermediate_size=24, attention_multiplier=0.4,
            embedding_multiplier=3.0, residual_multiplier=0.22, logits_scaling=8.0,
            tie_word_embeddings=True),
        seed=311, published=PUBLISHED),
    # Scores without a factor, a negative factor for the halves; biases everywhere.
    "granite-odd": Case(
        GRANITE,
        GraniteConfig(
            **COMMON, hidden_size=14, num_hidden_layers=2, num_attention_heads=1,
            intermediate_size=19, residual_multiplier=-1.5, logits_scaling=0.3,
            attention_bias=True, mlp_bias=True, hidden_act="gelu", rms_norm_eps=1e-3,
            rope_parameters=dict(
                rope_type="yarn", rope_theta=500.0, factor=4.0,
                original_max_position_embeddings=16)),
        seed=312, cross=(0, 5), length=7, published=PUBLISHED),
}
