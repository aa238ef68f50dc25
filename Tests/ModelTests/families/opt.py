import dataclasses

from transformers import OPTConfig

from make_family_fixtures import Case, Published, older_rotary, respelled
from reference import Anatomy


def feed_forward(block, x):
    return block.fc2(block.activation_fn(block.fc1(x)))


OPT = Anatomy(
    blocks="model.decoder.layers", norm="model.decoder.final_layer_norm", head="lm_head",
    middle="final_layer_norm",
    mlp=lambda block, z: feed_forward(block, block.final_layer_norm(z)))
# The head reads a projection of the state.
NORM_AFTER = dataclasses.replace(
    OPT, norm=None, head=None, middle="fc1",
    mlp=lambda block, z: block.final_layer_norm(z + feed_forward(block, z)) - z)

# facebook/opt-125m and opt-350m.
PUBLISHED = Published(
    config=lambda config: respelled(
        older_rotary(config),
        dict.fromkeys(["enable_bias", "layer_norm_elementwise_affine", "tie_word_embeddings"]),
        prefix="</s>"),
    prefix=("model.decoder.", "decoder."))

COMMON = dict(
    vocab_size=31, num_hidden_layers=2, max_position_embeddings=24, bos_token_id=2, pad_token_id=1,
    eos_token_id=2)

CASES = {
    "opt": Case(
        OPT, OPTConfig(**COMMON, hidden_size=20, num_attention_heads=2, ffn_dim=36), seed=601,
        published=PUBLISHED),
    # Norms after the sums, an embedding narrower than the stream.
    "opt-norm-after": Case(
        NORM_AFTER,
        OPTConfig(
            **COMMON, hidden_size=24, num_attention_heads=3, ffn_dim=25, do_layer_norm_before=False,
            word_embed_proj_dim=14),
        seed=602, length=8, cross=(2, 5), published=PUBLISHED),
    # As in Galactica, without biases, and also without gains and the final norm.
    "opt-bare": Case(
        dataclasses.replace(OPT, norm=None),
        OPTConfig(
            **COMMON, hidden_size=18, num_attention_heads=1, ffn_dim=25, enable_bias=False,
            layer_norm_elementwise_affine=False, activation_function="gelu",
            _remove_final_layer_norm=True, tie_word_embeddings=False),
        seed=603, length=7, cross=(0, 5),
        published=Published(config=older_rotary, prefix=("model.decoder.", ""))),
}
