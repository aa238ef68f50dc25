from transformers import AutoModel, AutoModelForMaskedLM, RobertaConfig, XLMRobertaConfig

from families.bert import anatomy
from make_family_fixtures import Case, Published, older_rotary, respelled


def published(config):
    """As FacebookAI/roberta-base and BAAI/bge-m3."""
    unsaid = ["add_cross_attention", "is_decoder", "tie_word_embeddings", "use_cache"]
    return respelled(
        older_rotary(config), dict.fromkeys(unsaid), gradient_checkpointing=False,
        position_embedding_type="absolute")


CASES = {
    "roberta": Case(
        anatomy(AutoModelForMaskedLM, "roberta.", "lm_head"),
        RobertaConfig(
            vocab_size=31, max_position_embeddings=24, hidden_size=20, num_hidden_layers=3, num_attention_heads=2,
            intermediate_size=36, type_vocab_size=1, layer_norm_eps=1e-5, hidden_act="gelu_new"),
        seed=331, cross=(7, 3),
        published=Published(
            config=published, prefix=("roberta.", ""), buffers={"embeddings.position_ids": (1, 24)})),
    # Only the encoder, with its pooler; another padding token, which occurs in the prompt.
    "xlm-roberta": Case(
        anatomy(AutoModel, "", None),
        XLMRobertaConfig(
            vocab_size=13, max_position_embeddings=21, hidden_size=18, num_hidden_layers=2, num_attention_heads=1,
            intermediate_size=25, hidden_act="relu", layer_norm_eps=1e-3, pad_token_id=4),
        seed=332, cross=(0, 5), length=12,
        published=Published(config=published, prefix=("", "roberta."))),
}
