from transformers import AutoModel, AutoModelForMaskedLM, ModernBertConfig

from make_family_fixtures import Case, Published
from reference import Anatomy


def anatomy(model_class, prefix, head):
    return Anatomy(
        blocks=f"{prefix}layers", norm=f"{prefix}final_norm", head=head, middle="mlp_norm",
        mlp=lambda block, z: block.mlp(block.mlp_norm(z)), model_class=model_class,
        logits=lambda model, y: model.decoder(y))


def published(config):
    """As answerdotai/ModernBERT-base and Alibaba-NLP/gte-modernbert-base."""
    config = dict(config)
    config.pop("layer_types")
    rope = config.pop("rope_parameters")
    config["torch_dtype"] = config.pop("dtype")
    config["global_attn_every_n_layers"] = 3
    for kind, name in (("full_attention", "global"), ("sliding_attention", "local")):
        config[f"{name}_rope_theta"] = rope[kind]["rope_theta"]
    return config | {
        "layer_norm_eps": config["norm_eps"], "position_embedding_type": "absolute", "repad_logits_with_grad": False,
        "reference_compile": False, "transformers_version": "4.47.0"}


SIZES = dict(
    vocab_size=31, max_position_embeddings=24, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2,
    pad_token_id=0)

CASES = {
    # A window of 2 on either side, in two of three blocks.
    "modernbert": Case(
        anatomy(AutoModelForMaskedLM, "model.", "head"),
        ModernBertConfig(
            **SIZES, hidden_size=20, num_hidden_layers=4, num_attention_heads=2, intermediate_size=17,
            local_attention=4),
        seed=381, cross=(5, 4), published=Published(config=published, prefix=("model.", "model."))),
    # Only the encoder, with biases everywhere; every second block has a window of 5, which is 2 on either side.
    "modernbert-odd": Case(
        anatomy(AutoModel, "", None),
        ModernBertConfig(
            **SIZES, hidden_size=14, num_hidden_layers=2, num_attention_heads=1, intermediate_size=9,
            local_attention=5, norm_bias=True, attention_bias=True, mlp_bias=True, norm_eps=1e-3,
            hidden_activation="silu", layer_types=["full_attention", "sliding_attention"],
            rope_parameters={
                "full_attention": {"rope_type": "linear", "rope_theta": 70.0, "factor": 3.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 50.0}}),
        seed=382, cross=(2, 4), length=7,
        published=Published(config=lambda config: config, prefix=("", "model."))),
    # A bias of the head's first map, and none of its second.
    "modernbert-head": Case(
        anatomy(AutoModelForMaskedLM, "model.", "head"),
        ModernBertConfig(
            **SIZES, hidden_size=14, num_hidden_layers=1, num_attention_heads=1, intermediate_size=9,
            local_attention=2, classifier_bias=True, decoder_bias=False, classifier_activation="relu"),
        seed=383, cross=(0, 3), length=5,
        published=Published(config=lambda config: config, prefix=("model.", "model."))),
}
