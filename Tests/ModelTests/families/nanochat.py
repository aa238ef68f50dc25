import dataclasses

import torch
from transformers import NanoChatConfig

from make_family_fixtures import Case, Published, older_rotary
from reference import LLAMA


def capped(model, y):
    cap = model.config.final_logit_softcapping
    return y if cap is None else cap * torch.tanh(y / cap)


NANOCHAT = dataclasses.replace(LLAMA, logits=capped)

# nanochat-students/nanochat-d20.
PUBLISHED = Published(config=older_rotary)

COMMON = dict(
    vocab_size=31, bos_token_id=1, eos_token_id=2, pad_token_id=0, max_position_embeddings=64)

CASES = {
    "nanochat": Case(
        NANOCHAT,
        NanoChatConfig(
            **COMMON, hidden_size=16, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, intermediate_size=24, final_logit_softcapping=2.0),
        seed=401, published=PUBLISHED),
    "nanochat-odd": Case(
        NANOCHAT,
        NanoChatConfig(
            **COMMON, hidden_size=14, num_hidden_layers=2, num_attention_heads=1,
            intermediate_size=19, attention_bias=True, hidden_act="gelu", rms_norm_eps=1e-2,
            final_logit_softcapping=None, tie_word_embeddings=True,
            rope_parameters=dict(rope_type="linear", rope_theta=500.0, factor=2.0)),
        seed=402, cross=(0, 5), length=7, published=PUBLISHED),
}
