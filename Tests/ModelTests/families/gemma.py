import dataclasses

from transformers import AutoModel, Gemma2Config, Gemma3TextConfig, Gemma4TextConfig, GemmaConfig

from make_family_fixtures import Case, Published, older_rotary, respelled
from reference import LLAMA, Anatomy


def capped(model, y):
    cap = model.config.final_logit_softcapping
    return cap * (y / cap).tanh() if cap else y


GEMMA2 = Anatomy(
    blocks="model.layers", norm="model.norm", head="lm_head", middle="pre_feedforward_layernorm",
    mlp=lambda block, z: block.post_feedforward_layernorm(
        block.mlp(block.pre_feedforward_layernorm(z))),
    logits=capped)

# google/gemma-7b says gelu and means its tanh approximation; its head is the embedding, without a key that says so.
PUBLISHED = Published(
    config=lambda config: respelled(
        older_rotary(config), {"tie_word_embeddings": None}, hidden_act="gelu"))
# google/gemma-2-9b: no list of the kinds of blocks, and additional keys of other implementations.
PUBLISHED2 = Published(
    config=lambda config: respelled(
        older_rotary(config), {"layer_types": None}, hidden_act="gelu_pytorch_tanh",
        cache_implementation="hybrid", sliding_window_size=config["sliding_window"]))



def by_kind(config):
    """Rotary parameters by kind of layer, in the spelling before transformers 5."""
    kinds = config["rope_parameters"]
    full = dict(kinds["full_attention"])
    return older_rotary(config | {"rope_parameters": full}) | {
        "rope_local_base_freq": kinds["sliding_attention"]["rope_theta"]}


def nested(config):
    """google/gemma-3-4b-it: the text part of a multimodal model."""
    text = respelled(by_kind(config), {"layer_types": None}, sliding_window_pattern=2)
    return {
        "model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"],
        "text_config": {k: v for k, v in text.items() if k not in ("architectures", "tie_word_embeddings")},
        "vision_config": {"model_type": "siglip_vision_model", "hidden_size": 4, "num_hidden_layers": 1},
        "mm_tokens_per_image": 4, "image_token_index": 36, "torch_dtype": "float32"}


NESTED = Published(
    config=nested, prefix=("model.", "language_model.model."), same=False,
    buffers={
        "vision_tower.vision_model.encoder.layers.0.self_attn.q_proj.weight": (4, 4),
        "multi_modal_projector.mm_input_projection_weight": (4, 16)})
# google/gemma-3-1b-it: a text-only model.
PUBLISHED3 = Published(
    config=lambda config: by_kind(config) | {"cache_implementation": "hybrid", "sliding_window_pattern": 6})

GEMMA4 = Anatomy(
    blocks="model.layers", norm="model.norm", head="lm_head", logits=capped)


def nested4(config):
    """google/gemma-4-E2B-it: the text part of a multimodal model."""
    return {
        "model_type": "gemma4", "architectures": ["Gemma4ForConditionalGeneration"],
        "text_config": {k: v for k, v in config.items() if k not in ("architectures", "dtype")},
        "vision_config": None, "audio_config": None, "image_token_id": 36, "dtype": "float32"}


PUBLISHED4 = Published(
    config=nested4, prefix=("model.", "model.language_model."), same=False,
    buffers={"model.language_model.layers.0.layer_scalar": (1,), "model.vision_tower.w": (2,)})

COMMON = dict(vocab_size=37, max_position_embeddings=64)

CASES = {
    "gemma": Case(
        LLAMA,
        GemmaConfig(
            **COMMON, hidden_size=18, num_hidden_layers=3, num_attention_heads=3,
            num_key_value_heads=1, head_dim=8, intermediate_size=26),
        seed=211, published=PUBLISHED),
    # Biases, a separate head, a single attention head.
    "gemma-odd": Case(
        LLAMA,
        GemmaConfig(
            **COMMON, hidden_size=15, num_hidden_layers=2, num_attention_heads=1,
            num_key_value_heads=1, head_dim=22, intermediate_size=21, attention_bias=True,
            hidden_act="silu", rms_norm_eps=1e-3, tie_word_embeddings=False,
            rope_parameters=dict(rope_type="linear", rope_theta=500.0, factor=2.5)),
        seed=212, cross=(1, 5), length=7, published=Published(config=older_rotary)),
    # Caps with a noticeable effect, every other block with a window of 4.
    "gemma2": Case(
        GEMMA2,
        Gemma2Config(
            **COMMON, hidden_size=20, num_hidden_layers=3, num_attention_heads=4,
            num_key_value_heads=2, head_dim=6, intermediate_size=30, query_pre_attn_scalar=11,
            sliding_window=4, attn_logit_softcapping=2.5, final_logit_softcapping=3.5),
        seed=213, cross=(5, 8), length=10, published=PUBLISHED2),
    # No caps, no windows, and defaults for absent keys.
    "gemma2-odd": Case(
        GEMMA2,
        Gemma2Config(
            **COMMON, hidden_size=14, num_hidden_layers=2, num_attention_heads=1,
            num_key_value_heads=1, head_dim=18, intermediate_size=19, hidden_activation="relu",
            attn_logit_softcapping=None, final_logit_softcapping=None, attention_bias=True,
            layer_types=["full_attention"] * 2, tie_word_embeddings=False),
        seed=214, cross=(0, 6), length=7, published=Published(config=older_rotary)),
    # Every other block with a window of 4, the others with positions divided by 8.
    "gemma3": Case(
        GEMMA2,
        Gemma3TextConfig(
            **COMMON, hidden_size=16, num_hidden_layers=3, num_attention_heads=2,
            num_key_value_heads=1, head_dim=8, intermediate_size=20, query_pre_attn_scalar=8,
            sliding_window=4, sliding_window_pattern=2,
            rope_parameters=dict(
                full_attention=dict(rope_type="linear", rope_theta=500.0, factor=8.0),
                sliding_attention=dict(rope_type="default", rope_theta=30.0))),
        seed=215, cross=(5, 8), length=10, published=NESTED),
    # Biases, a cap of the logits, a separate head, heads whose sizes do not add up to the width.
    "gemma3-odd": Case(
        GEMMA2,
        Gemma3TextConfig(
            **COMMON, hidden_size=14, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=2, head_dim=6, intermediate_size=19, query_pre_attn_scalar=11,
            sliding_window=3, layer_types=["full_attention", "sliding_attention"],
            final_logit_softcapping=3.5, attention_bias=True, hidden_activation="silu",
            rms_norm_eps=1e-3, tie_word_embeddings=False,
            rope_parameters=dict(
                full_attention=dict(rope_type="default", rope_theta=300.0),
                sliding_attention=dict(rope_type="default", rope_theta=20.0))),
        seed=216, cross=(1, 4), length=7, published=PUBLISHED3),
    # Tokens see those after them: in the first block one on either side.
    "gemma3-bidirectional": Case(
        dataclasses.replace(GEMMA2, blocks="layers", norm="norm", head=None, model_class=AutoModel),
        Gemma3TextConfig(
            **COMMON, hidden_size=12, num_hidden_layers=2, num_attention_heads=1,
            num_key_value_heads=1, head_dim=8, intermediate_size=15, query_pre_attn_scalar=64,
            sliding_window=3, layer_types=["sliding_attention", "full_attention"],
            use_bidirectional_attention=True, tie_word_embeddings=False,
            rope_parameters=dict(
                full_attention=dict(rope_type="default", rope_theta=300.0),
                sliding_attention=dict(rope_type="default", rope_theta=20.0))),
        seed=217, cross=(5, 4), length=8, published=Published(config=by_kind)),
    # Side inputs of the blocks, and another head size in the full block, in which three quarters of a head do not
    # rotate.
    "gemma4": Case(
        GEMMA4,
        Gemma4TextConfig(
            **COMMON, hidden_size=16, num_hidden_layers=3, num_attention_heads=2,
            num_key_value_heads=1, head_dim=4, global_head_dim=8, intermediate_size=20,
            hidden_size_per_layer_input=3, vocab_size_per_layer_input=37, sliding_window=4,
            layer_types=["sliding_attention", "full_attention", "full_attention"]),
        seed=218, cross=(5, 8), length=10, published=PUBLISHED4),
    # A mixture beside the MLP, keys that are also values, biases, a cap of the logits.
    "gemma4-mixture": Case(
        GEMMA4,
        Gemma4TextConfig(
            **COMMON, hidden_size=12, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=2, head_dim=4, global_head_dim=8, num_global_key_value_heads=1,
            intermediate_size=15, hidden_size_per_layer_input=0, attention_k_eq_v=True,
            enable_moe_block=True, num_experts=4, top_k_experts=2, moe_intermediate_size=6,
            sliding_window=3, layer_types=["sliding_attention", "full_attention"],
            final_logit_softcapping=3.5, attention_bias=True, rms_norm_eps=1e-3,
            experts_implementation="eager"),
        seed=219, cross=(2, 4), length=7, published=PUBLISHED4),
    # The last two blocks attend to the keys and values of the first two and have MLPs of twice the width.
    "gemma4-shared": Case(
        GEMMA4,
        Gemma4TextConfig(
            **COMMON, hidden_size=12, num_hidden_layers=4, num_attention_heads=2,
            num_key_value_heads=1, head_dim=4, global_head_dim=6, intermediate_size=10,
            hidden_size_per_layer_input=2, vocab_size_per_layer_input=37, sliding_window=3,
            num_kv_shared_layers=2, use_double_wide_mlp=True,
            layer_types=["sliding_attention", "full_attention"] * 2),
        seed=220, cross=(2, 4), length=7, published=PUBLISHED4),
}
