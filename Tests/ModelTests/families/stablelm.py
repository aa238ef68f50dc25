from transformers import StableLmConfig

from make_family_fixtures import Case, Published, older_rotary, respelled
from reference import Anatomy

SEQUENTIAL = Anatomy(
    blocks="model.layers", norm="model.norm", head="lm_head", middle="post_attention_layernorm",
    mlp=lambda block, z: block.mlp(block.post_attention_layernorm(z)))
PARALLEL = Anatomy(
    blocks="model.layers", norm="model.norm", head="lm_head",
    mlp=lambda block, z: block.mlp(block.input_layernorm(z)))

# stabilityai/stablelm-3b-4e1t as first published.
EPOCH = Published(
    config=lambda config: respelled(
        older_rotary(config, share="rope_pct"),
        {"layer_norm_eps": "norm_eps", "num_attention_heads": "num_heads", "rope_scaling": None,
         "qk_layernorm": None, "use_parallel_residual": None},
        model_type="stablelm_epoch", rotary_scaling_factor=1.0),
    same=False)

COMMON = dict(
    vocab_size=31, num_hidden_layers=2, max_position_embeddings=24, bos_token_id=1, eos_token_id=2)

CASES = {
    "stablelm": Case(
        SEQUENTIAL,
        StableLmConfig(
            **COMMON, hidden_size=20, num_attention_heads=2, num_key_value_heads=1, intermediate_size=28,
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.4}),
        seed=1001, published=EPOCH),
    # As in 12b: both halves after one norm, a norm for every head; also biases.
    "stablelm-parallel": Case(
        PARALLEL,
        StableLmConfig(
            **COMMON, hidden_size=24, num_attention_heads=4, num_key_value_heads=2, intermediate_size=25,
            rope_parameters={"rope_type": "default", "rope_theta": 500.0, "partial_rotary_factor": 0.67},
            use_parallel_residual=True, qk_layernorm=True, use_qkv_bias=True, hidden_act="gelu",
            layer_norm_eps=1e-3, tie_word_embeddings=True),
        seed=1002, length=7, cross=(1, 4), published=Published(config=older_rotary)),
}
