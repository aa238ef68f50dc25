from transformers import AutoModel, AutoModelForMaskedLM, MPNetConfig

from families.bert import anatomy
from make_family_fixtures import Case, Published, older_rotary, respelled


def published(config):
    """As microsoft/mpnet-base and sentence-transformers/all-mpnet-base-v2."""
    return respelled(older_rotary(config), {"tie_word_embeddings": None}, gradient_checkpointing=False)


CASES = {
    # Distances that have buckets of their own, and others.
    "mpnet": Case(
        anatomy(AutoModelForMaskedLM, "mpnet.", "lm_head"),
        MPNetConfig(
            vocab_size=31, max_position_embeddings=24, hidden_size=20, num_hidden_layers=3, num_attention_heads=2,
            intermediate_size=36, layer_norm_eps=1e-5, hidden_act="relu"),
        seed=361, cross=(14, 3), length=16,
        published=Published(
            config=published, prefix=("mpnet.", ""), buffers={"embeddings.position_ids": (1, 24)})),
    # Only the encoder, with its pooler; one head, and more buckets than are used.
    "mpnet-bare": Case(
        anatomy(AutoModel, "", None),
        MPNetConfig(
            vocab_size=19, max_position_embeddings=17, hidden_size=14, num_hidden_layers=2, num_attention_heads=1,
            intermediate_size=9, relative_attention_num_buckets=34, pad_token_id=7),
        seed=362, cross=(0, 5), length=7, published=Published(config=published, prefix=("", "mpnet."))),
}
