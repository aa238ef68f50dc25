import dataclasses

from transformers import FalconH1Config

from make_family_fixtures import Case, Published, older_rotary
from reference import LLAMA

FALCON_H1 = dataclasses.replace(
    LLAMA, norm="model.final_layernorm", middle="pre_ff_layernorm",
    mlp=lambda block, z: block.feed_forward(block.pre_ff_layernorm(z)),
    logits=lambda model, y: y * model.model.lm_head_multiplier)

PUBLISHED = Published(config=older_rotary)
COMMON = dict(
    vocab_size=37, pad_token_id=0, bos_token_id=1, eos_token_id=2, max_position_embeddings=64)

CASES = {
    # tiiuae/Falcon-H1-0.5B-Base: factors on everything, no norm.
    "falcon_h1": Case(
        FALCON_H1,
        FalconH1Config(
            **COMMON, hidden_size=16, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, intermediate_size=22, mamba_d_ssm=24, mamba_n_heads=4,
            mamba_d_head=6, mamba_d_state=5, embedding_multiplier=3.0, lm_head_multiplier=0.4,
            key_multiplier=0.6, attention_in_multiplier=1.2, attention_out_multiplier=0.8,
            ssm_in_multiplier=1.3, ssm_out_multiplier=0.7, mlp_multipliers=[0.9, 0.6],
            ssm_multipliers=[0.8, 1.1, 0.7, 0.5, 1.4]),
        seed=731, published=PUBLISHED),
    # A norm of two groups before the gate, biases everywhere, the width of the state space derived from that of the
    # stream.
    "falcon_h1-odd": Case(
        FALCON_H1,
        FalconH1Config(
            **COMMON, hidden_size=12, num_hidden_layers=2, num_attention_heads=3,
            num_key_value_heads=1, intermediate_size=13, mamba_d_ssm=None, mamba_expand=2,
            mamba_n_heads=4, mamba_d_head="auto", mamba_n_groups=2, mamba_d_state=3,
            mamba_d_conv=3, mamba_conv_bias=False, mamba_proj_bias=True, projectors_bias=True,
            attention_bias=True, mlp_bias=True, mamba_rms_norm=True, rms_norm_eps=1e-3,
            hidden_act="gelu", time_step_limit=(0.2, 2.0), tie_word_embeddings=True),
        seed=732, cross=(1, 6), length=7, published=PUBLISHED),
    # The norm after the gate.
    "falcon_h1-normed": Case(
        FALCON_H1,
        FalconH1Config(
            **COMMON, hidden_size=8, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=2, intermediate_size=9, mamba_d_ssm=12, mamba_n_heads=2,
            mamba_d_head=6, mamba_d_state=3, mamba_rms_norm=True, mamba_norm_before_gate=False),
        seed=733, cross=(2, 4), length=7, published=PUBLISHED),
}
