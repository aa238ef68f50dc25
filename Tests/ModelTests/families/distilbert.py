from transformers import AutoModel, AutoModelForMaskedLM, DistilBertConfig

from make_family_fixtures import Case, Published, older_rotary, respelled
from reference import Anatomy


def anatomy(model_class, prefix, head):
    return Anatomy(
        blocks=f"{prefix}transformer.layer", norm=None, head=head, middle="ffn",
        mlp=lambda block, z: block.output_layer_norm(block.ffn(z) + z) - z, model_class=model_class,
        logits=lambda model, y: model.vocab_projector(model.vocab_layer_norm(model.activation(y))))


def published(config):
    """As distilbert/distilbert-base-uncased and its classifiers."""
    unsaid = ["bos_token_id", "eos_token_id", "tie_word_embeddings"]
    return respelled(older_rotary(config), dict.fromkeys(unsaid), tie_weights_=True, output_past=True)


CASES = {
    "distilbert": Case(
        anatomy(AutoModelForMaskedLM, "distilbert.", "vocab_transform"),
        DistilBertConfig(
            vocab_size=31, max_position_embeddings=24, dim=20, n_layers=3, n_heads=2, hidden_dim=36,
            activation="relu"),
        seed=341, cross=(7, 3), published=Published(config=published, prefix=("distilbert.", ""))),
    # Only the encoder; one head.
    "distilbert-bare": Case(
        anatomy(AutoModel, "", None),
        DistilBertConfig(
            vocab_size=19, max_position_embeddings=17, dim=14, n_layers=2, n_heads=1, hidden_dim=9),
        seed=342, cross=(0, 5), length=7, published=Published(config=published, prefix=("", "distilbert."))),
}
