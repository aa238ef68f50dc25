import torch
from transformers import AutoModel, AutoModelForSeq2SeqLM, BartConfig

from families.t5 import encoder
from make_family_fixtures import Case, Published, older_rotary, respelled
from reference import Anatomy


def anatomy(model_class, prefix, head):
    return Anatomy(
        blocks=f"{prefix}decoder.layers", norm=None, head=head, middle="fc1",
        mlp=lambda block, z: block.final_layer_norm(z + block.fc2(block.activation_fn(block.fc1(z)))) - z,
        model_class=model_class, prompt="decoder_input_ids")


def published(config):
    """As facebook/bart-base and facebook/bart-large-cnn."""
    unsaid = ["is_decoder"] + ["tie_word_embeddings"] * config["tie_word_embeddings"]
    return respelled(
        older_rotary(config), dict.fromkeys(unsaid), num_hidden_layers=config["encoder_layers"],
        normalize_before=False, add_final_layer_norm=False, gradient_checkpointing=False)


def stored(state):
    """With the bias of the logits, which is not a parameter."""
    return state | {"final_logits_bias": torch.zeros(1, state["model.shared.weight"].shape[0])}


CASES = {
    "bart": Case(
        anatomy(AutoModelForSeq2SeqLM, "model.", "lm_head"),
        BartConfig(
            vocab_size=31, max_position_embeddings=24, d_model=20, encoder_layers=2, decoder_layers=3,
            encoder_attention_heads=5, decoder_attention_heads=2, encoder_ffn_dim=17, decoder_ffn_dim=28),
        seed=421, length=9, cross=(4, 7), inputs=encoder(8, 1), stored=stored,
        published=Published(config=published, prefix=("model.", ""))),
    # Without a head; the embedding is scaled.
    "bart-bare": Case(
        anatomy(AutoModel, "", None),
        BartConfig(
            vocab_size=31, max_position_embeddings=17, d_model=14, encoder_layers=1, decoder_layers=2,
            encoder_attention_heads=1, decoder_attention_heads=1, encoder_ffn_dim=9, decoder_ffn_dim=11,
            scale_embedding=True, activation_function="relu",
            tie_word_embeddings=False),
        seed=422, length=7, cross=(0, 5), inputs=encoder(3, 2),
        published=Published(config=published, prefix=("", "model."))),
}
