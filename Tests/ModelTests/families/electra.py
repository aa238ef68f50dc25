import dataclasses

from transformers import AutoModel, AutoModelForMaskedLM, ElectraConfig

from families.bert import anatomy
from make_family_fixtures import Case, Published, older_rotary, respelled


def published(config):
    """As google/electra-small-generator and google/electra-base-discriminator."""
    unsaid = ["add_cross_attention", "is_decoder", "tie_word_embeddings", "bos_token_id", "eos_token_id", "use_cache"]
    return respelled(
        older_rotary(config), dict.fromkeys(unsaid), position_embedding_type="absolute",
        summary_last_dropout=0.1)


CASES = {
    # The generator: its embeddings are narrower than the stream.
    "electra": Case(
        dataclasses.replace(
            anatomy(AutoModelForMaskedLM, "electra.", "generator_predictions"),
            logits=lambda model, y: model.generator_lm_head(y)),
        ElectraConfig(
            vocab_size=31, max_position_embeddings=24, embedding_size=11, hidden_size=20, num_hidden_layers=3,
            num_attention_heads=2, intermediate_size=36, hidden_act="relu"),
        seed=351, cross=(7, 3),
        published=Published(
            config=published, prefix=("electra.", ""), buffers={"embeddings.position_ids": (1, 24)})),
    # Only the encoder; one head, and embeddings as wide as the stream.
    "electra-bare": Case(
        anatomy(AutoModel, "", None),
        ElectraConfig(
            vocab_size=19, max_position_embeddings=17, embedding_size=14, hidden_size=14, num_hidden_layers=2,
            num_attention_heads=1, intermediate_size=9, type_vocab_size=1, layer_norm_eps=1e-3),
        seed=352, cross=(0, 5), length=7, published=Published(config=published, prefix=("", "electra."))),
}
