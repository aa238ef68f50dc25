from transformers import AutoModel, AutoModelForMaskedLM, BertConfig

from make_family_fixtures import Case, Published, older_rotary, respelled
from reference import Anatomy


def anatomy(model_class, prefix, head):
    return Anatomy(
        blocks=f"{prefix}encoder.layer", norm=None, head=head, middle="intermediate",
        mlp=lambda block, z: block.output(block.intermediate(z), z) - z, model_class=model_class)


def published(config):
    """As google-bert/bert-base-uncased and sentence-transformers/all-MiniLM-L6-v2."""
    unsaid = ["add_cross_attention", "is_decoder", "tie_word_embeddings", "bos_token_id", "eos_token_id"]
    return respelled(
        older_rotary(config), dict.fromkeys(unsaid), gradient_checkpointing=False,
        position_embedding_type="absolute")


COMMON = dict(vocab_size=31, max_position_embeddings=24)

CASES = {
    "bert": Case(
        anatomy(AutoModelForMaskedLM, "bert.", "cls"),
        BertConfig(
            **COMMON, hidden_size=20, num_hidden_layers=3, num_attention_heads=2, intermediate_size=36),
        seed=311, cross=(7, 3),
        published=Published(
            config=published, prefix=("bert.", ""), buffers={"embeddings.position_ids": (1, 24)})),
    # Only the encoder, with its pooler; one head.
    "bert-bare": Case(
        anatomy(AutoModel, "", None),
        BertConfig(
            **COMMON, hidden_size=18, num_hidden_layers=2, num_attention_heads=1, intermediate_size=25,
            hidden_act="relu", type_vocab_size=1, layer_norm_eps=1e-3),
        seed=312, cross=(0, 5), length=7,
        published=Published(
            config=published, prefix=("", "bert."), buffers={"bert.embeddings.position_ids": (1, 24)})),
}
