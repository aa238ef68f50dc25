from transformers import Glm4Config, GlmConfig

from make_family_fixtures import Case, Published, older_rotary
from reference import LLAMA, Anatomy

GLM4 = Anatomy(
    blocks="model.layers", norm="model.norm", head="lm_head", middle="post_attention_layernorm",
    mlp=lambda block, z: block.post_mlp_layernorm(block.mlp(block.post_attention_layernorm(z))))

# zai-org/glm-4-9b-chat-hf and zai-org/GLM-4-9B-0414.
PUBLISHED = Published(config=older_rotary)

COMMON = dict(
    vocab_size=31, bos_token_id=1, eos_token_id=2, pad_token_id=0, max_position_embeddings=64)
PLAIN = COMMON | dict(
    hidden_size=16, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=8,
    intermediate_size=24, rms_norm_eps=1e-5)
# An independent head size, of which 6 of 10 features rotate; no biases.
ODD = COMMON | dict(
    hidden_size=14, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2, head_dim=10,
    intermediate_size=19, attention_bias=False, hidden_act="gelu", rms_norm_eps=1e-3,
    tie_word_embeddings=True,
    rope_parameters=dict(
        rope_type="linear", rope_theta=500.0, factor=2.0, partial_rotary_factor=0.6))

CASES = {
    "glm": Case(LLAMA, GlmConfig(**PLAIN), seed=301, published=PUBLISHED),
    "glm-odd": Case(
        LLAMA, GlmConfig(**ODD), seed=302, cross=(0, 5), length=7, published=PUBLISHED),
    "glm4": Case(GLM4, Glm4Config(**PLAIN), seed=303, published=PUBLISHED),
    "glm4-odd": Case(
        GLM4, Glm4Config(**ODD), seed=304, cross=(0, 5), length=7, published=PUBLISHED),
}
