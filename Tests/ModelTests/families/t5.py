import torch
from transformers import AutoModelForSeq2SeqLM, T5Config

from make_family_fixtures import Case, Published, older_rotary, respelled
from reference import Anatomy


class Untied:
    """Version 1.1 has a separate head, which transformers recognises only by the checkpoint."""

    @staticmethod
    def from_config(config, **options):
        model = AutoModelForSeq2SeqLM.from_config(config, **options)
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
        return model


def anatomy(model_class):
    return Anatomy(
        blocks="decoder.block", norm="decoder.final_layer_norm", head="lm_head", middle="layer.2",
        mlp=lambda block, z: block.layer[2](z) - z, model_class=model_class,
        logits=lambda model, y: (
            y * model.model_dim**-0.5 if model.config.scale_decoder_outputs else y),
        prompt="decoder_input_ids")


def published(config, unsaid, **others):
    """`others` and the defaults that both versions rely on."""
    derived = ["dense_act_fn", "is_gated_act", "scale_decoder_outputs", "is_decoder", "classifier_dropout"]
    return respelled(older_rotary(config), dict.fromkeys(derived + unsaid), **others)


def encoder(length, seed):
    return {"input_ids": torch.randint(3, 31, (1, length), generator=torch.manual_seed(seed)).tolist()}


COMMON = dict(vocab_size=31, bos_token_id=1, eos_token_id=2, decoder_start_token_id=0)

CASES = {
    # google-t5/t5-small, with an unused bias of the cross-attention. More tokens than the bias distinguishes.
    "t5": Case(
        anatomy(AutoModelForSeq2SeqLM),
        T5Config(
            **COMMON, d_model=20, d_kv=6, d_ff=28, num_layers=2, num_decoder_layers=3, num_heads=3,
            relative_attention_num_buckets=7, relative_attention_max_distance=9),
        seed=301, length=14, cross=(4, 12), inputs=encoder(17, 1),
        published=Published(
            config=lambda config: published(
                config, ["feed_forward_proj", "tie_word_embeddings"], n_positions=512),
            buffers={
                "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight": (7, 3)})),
    # google/t5-v1_1-small and its lm-adapted form: one head here.
    "t5-gated": Case(
        anatomy(Untied),
        T5Config(
            **COMMON, d_model=18, d_kv=7, d_ff=25, num_layers=2, num_decoder_layers=2, num_heads=1,
            feed_forward_proj="gated-gelu", layer_norm_epsilon=1e-3, tie_word_embeddings=False),
        seed=302, cross=(0, 5), length=7, inputs=encoder(1, 2),
        published=Published(
            config=lambda config: published(config, [], tie_word_embeddings=False))),
}
