from transformers import Mamba2Config, MambaConfig

from make_family_fixtures import Case, Published, respelled
from reference import Anatomy

MAMBA = Anatomy(blocks="backbone.layers", norm="backbone.norm_f", head="lm_head")

# As written by transformers 4.
PUBLISHED = Published(
    config=lambda config: respelled(config, {"dtype": "torch_dtype"}, torch_dtype="float32"))

COMMON = dict(vocab_size=37, pad_token_id=0, bos_token_id=1, eos_token_id=2)

CASES = {
    "mamba": Case(
        MAMBA,
        MambaConfig(**COMMON, hidden_size=16, num_hidden_layers=2, state_size=5),
        seed=721, published=PUBLISHED),
    # Biases in both projections and none in the convolution, with a kernel of two tokens; steps computed from three
    # features.
    "mamba-odd": Case(
        MAMBA,
        MambaConfig(
            **COMMON, hidden_size=13, num_hidden_layers=2, state_size=3, expand=3, conv_kernel=2,
            use_bias=True, use_conv_bias=False, time_step_rank=3, hidden_act="gelu",
            layer_norm_epsilon=1e-3, tie_word_embeddings=False),
        seed=722, cross=(1, 5), length=7, published=PUBLISHED),
    "mamba2": Case(
        MAMBA,
        Mamba2Config(
            **COMMON, hidden_size=16, num_hidden_layers=2, num_heads=4, head_dim=8, n_groups=2,
            state_size=5),
        seed=723, published=PUBLISHED),
    # Steps are clamped on both sides; one head of a single group is as large as the stream.
    "mamba2-odd": Case(
        MAMBA,
        Mamba2Config(
            **COMMON, hidden_size=12, num_hidden_layers=2, num_heads=3, head_dim=8, n_groups=1,
            state_size=7, conv_kernel=3, use_bias=True, use_conv_bias=False, hidden_act="gelu",
            layer_norm_epsilon=1e-3, time_step_limit=(0.4, 1.1), chunk_size=2,
            tie_word_embeddings=True),
        seed=724, cross=(0, 6), length=7, published=PUBLISHED),
}
