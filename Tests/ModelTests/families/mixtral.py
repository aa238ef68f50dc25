from transformers import MixtralConfig

from make_family_fixtures import Case, Published, experts_apart, older_rotary
from reference import LLAMA

# mistralai/Mixtral-8x7B-v0.1.
PUBLISHED = Published(config=older_rotary)


def apart(state):
    """The experts as in published files."""
    return experts_apart(state, ("w1", "w3", "w2"), "block_sparse_moe")


# In double precision, experts are evaluated one by one.
COMMON = dict(
    vocab_size=37, bos_token_id=1, eos_token_id=2, max_position_embeddings=64,
    experts_implementation="eager")

CASES = {
    "mixtral": Case(
        LLAMA,
        MixtralConfig(
            **COMMON, hidden_size=24, num_hidden_layers=3, num_attention_heads=4,
            num_key_value_heads=2, intermediate_size=14, num_local_experts=5),
        seed=241, published=PUBLISHED, stored=apart),
    # All experts in one tensor; one of three is chosen, so that its weight is 1 for any router.
    "mixtral-stacked": Case(
        LLAMA,
        MixtralConfig(
            **COMMON, hidden_size=18, num_hidden_layers=2, num_attention_heads=1,
            num_key_value_heads=1, head_dim=10, intermediate_size=11, num_local_experts=3,
            num_experts_per_tok=1, rms_norm_eps=1e-3, sliding_window=4, tie_word_embeddings=True,
            rope_parameters=dict(rope_type="default", rope_theta=200.0)),
        seed=242, cross=(4, 6), length=8, published=PUBLISHED),
    # All experts are chosen.
    "mixtral-dense": Case(
        LLAMA,
        MixtralConfig(
            **COMMON, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=2, intermediate_size=9, num_local_experts=3, num_experts_per_tok=3),
        seed=243, cross=(0, 5), length=7, published=PUBLISHED, stored=apart),
}
