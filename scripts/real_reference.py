#!/usr/bin/env python3
"""Writes the float64 references of trained models, from their dequantised weights: scripts/real/NAME.json.

    scripts/real_reference.py NAME…      names as real_models.py lists them

The blocks are those of transformers with every number in float64 (the parts it runs in float32 included, as for the tests'
fixtures), one at a time: the package gguf dequantises the weights of a block, the block is run, its Jacobian at the last token
is formed and decomposed, and the weights are freed. Krylens is not used. Token ids are those of transformers for the vocabulary
in the file; those of llama.cpp for the same texts are written beside them if the package xllamacpp is installed.
Needs gguf, torch, transformers; takes ten minutes for the largest.
"""
import json
import pathlib
import re
import sys

import gguf
import numpy as np
import tokenizers
import torch
import transformers

import real_models

sys.path.append(str(pathlib.Path(__file__).parent.parent / "Tests/ModelTests"))
from reference import lifted  # noqa: E402

FOLDER = pathlib.Path(__file__).parent / "real"
TOP = 10
PROMPTS = [
    "The cat sat on the mat; naïveté, 東京 and e-mail weren't there.",
    "def mean(xs):\n    total = 0.0\n    for x in xs:\n        total += x\n    return total /",
]
# Texts on which tokenizers differ: runs of blanks, line ends, digits, marks, emoji, scripts, bytes, special tokens.
TEXTS = PROMPTS + [
    " two  spaces,   three and\ttabs\r\n\r\n\n  end ",
    "1234567890 3.14159 ½ ² ٣٤ ⅷ",
    "👩‍👩‍👧 🇩🇪 é ﬁ Å",
    "<|im_start|>user\nHi<|im_end|>\n<bos><start_of_turn>model\n",
    "Don't CAN'T we'Ll I'd've",
    "한국어 ไทย हिन्दी العربية русский ελληνικά",
    "\U00013080\U0001F9FF\uE000\uFFFD \x01\x7f",
    "a" * 40 + " " * 17 + "\n" * 5 + "\t\t\t",
    "<table><td>x</td></table>\n\n\n<unused7> x",
    "https://example.org/a_b?c=d&e=%20#f (C++/Rust) x_1=y**2;",
]
# The blocks and prompts used of the largest model; the others use all.
SOME = {"qwen2.5-coder-1.5b": ([0, 6, 13, 20, 27], 1)}

NAMES = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj", "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm", "ffn_norm": "post_attention_layernorm",
}
GEMMA3_NAMES = {
    "post_attention_norm": "post_attention_layernorm", "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}


class GGUF:
    """A file's tensors under the names of transformers."""

    def __init__(self, path):
        self.reader = gguf.GGUFReader(path)
        self.tensors = {t.name: t for t in self.reader.tensors}
        self.architecture = self.value("general.architecture")
        self.names = NAMES | (GEMMA3_NAMES if self.architecture == "gemma3" else {})

    def value(self, key, default=None):
        field = self.reader.get_field(key)
        return default if field is None else field.contents()

    def size(self, key, default=None):
        return self.value(f"{self.architecture}.{key}", default)

    def array(self, name):
        tensor = self.tensors[name]
        array = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float64)
        array = array.reshape(tuple(int(n) for n in reversed(tensor.shape)))
        if self.architecture == "gemma3" and name.endswith("norm.weight"):
            # The file holds the factor itself, transformers adds 1 to its weight. In float32, as the converter did it.
            array = array - 1
        return torch.from_numpy(array)

    def block(self, l):
        state = {}
        for name in self.tensors:
            if match := re.fullmatch(rf"blk\.{l}\.(\w+)\.(weight|bias)", name):
                array = self.array(name)
                if self.architecture == "llama" and match[1] in ("attn_q", "attn_k"):
                    # The two features of a rotated pair are adjacent in the file, half a head apart in transformers.
                    heads = self.size("attention.head_count" + ("_kv" if match[1] == "attn_k" else ""))
                    rows = array.reshape(heads, array.shape[0] // heads // 2, 2, -1)
                    array = rows.swapaxes(1, 2).reshape(array.shape)
                state[f"{self.names[match[1]]}.{match[2]}"] = array
        return state

    def configuration(self):
        rows = int(self.tensors["token_embd.weight"].shape[1])
        heads, width = self.size("attention.head_count"), self.size("embedding_length")
        common = dict(
            vocab_size=rows, hidden_size=width, num_hidden_layers=self.size("block_count"),
            intermediate_size=self.size("feed_forward_length"), num_attention_heads=heads,
            num_key_value_heads=self.size("attention.head_count_kv", heads),
            head_dim=self.size("attention.key_length", width // heads),
            max_position_embeddings=self.size("context_length"),
            rms_norm_eps=self.size("attention.layer_norm_rms_epsilon"),
            tie_word_embeddings="output.weight" not in self.tensors, attn_implementation="eager")
        theta = self.size("rope.freq_base", 10_000.0)
        plain = {"rope_type": "default", "rope_theta": theta}
        if self.architecture == "llama":
            return transformers.LlamaConfig(rope_parameters=plain, **common)
        if self.architecture == "qwen2":
            return transformers.Qwen2Config(rope_parameters=plain, use_sliding_window=False, **common)
        assert self.architecture == "gemma3", self.architecture
        # Settings that are not in the file and the same in every text model of the family.
        return transformers.Gemma3TextConfig(
            rope_parameters={
                "full_attention": plain,
                "sliding_attention": {"rope_type": "default", "rope_theta": self.size("rope.freq_base_swa", 10_000.0)}},
            sliding_window=self.size("attention.sliding_window"), query_pre_attn_scalar=common["head_dim"], **common)

    def head(self):
        return self.array("output.weight" if "output.weight" in self.tensors else "token_embd.weight")


class Kept:
    """Replaces the cache of keys and values: stores those of all tokens but the last, then prepends them to the last one's."""

    def __init__(self):
        self.past = None

    def update(self, keys, values, *_, **__):
        if self.past is None:
            self.past = keys[:, :, :-1], values[:, :, :-1]
            return keys, values
        return torch.cat([self.past[0], keys], dim=2), torch.cat([self.past[1], values], dim=2)


def decoder(file, token_ids, wanted):
    """States X⁰ … X^L, the Jacobians of the blocks `wanted` at the last token, and the last token's logits."""
    config = file.configuration()
    # For the parts around the blocks: a model with a block of each kind and a tiny vocabulary.
    kinds = sorted(set(getattr(config, "layer_types", None) or ["full_attention"]))
    small = type(config)(
        **config.to_dict() | {"num_hidden_layers": len(kinds), "layer_types": kinds, "vocab_size": 8, "pad_token_id": None})
    module = sys.modules[transformers.AutoModelForCausalLM.from_config(small).__module__]
    with lifted(module):
        base = transformers.AutoModelForCausalLM.from_config(small, dtype=torch.float64).model.eval()
        make_block = type(base.layers[0])
        ids = torch.arange(len(token_ids))[None]
        mask = torch.full((len(token_ids),) * 2, -torch.inf).triu(1)[None, None]
        x = file.array("token_embd.weight")[token_ids][None]
        if file.architecture == "gemma3":
            x = x * config.hidden_size**0.5
        states, jacobians = [x], {}
        for l in range(config.num_hidden_layers):
            block = make_block(config, l).double().eval().requires_grad_(False)
            block.load_state_dict(file.block(l), strict=True)
            kind = [config.layer_types[l]] if file.architecture == "gemma3" else []
            cosines, sines = base.rotary_emb(x, ids, *kind)
            kept = Kept()
            y = block(x, attention_mask=mask, position_ids=ids, position_embeddings=(cosines, sines), cache=kept)

            def last(row):
                return block(
                    row[None, None], attention_mask=None, position_ids=ids[:, -1:],
                    position_embeddings=(cosines[:, -1:], sines[:, -1:]), cache=kept)[0, -1]

            assert torch.allclose(last(x[0, -1]), y[0, -1], rtol=1e-11, atol=1e-11 * float(y.abs().max()))
            if l in wanted:
                jacobians[l] = torch.func.jacrev(last, chunk_size=256)(x[0, -1]) - torch.eye(x.shape[-1])
                print(f"  block {l + 1}", file=sys.stderr)
            x = y
            states.append(x)
        base.norm.weight.data = file.array("output_norm.weight")
        logits = file.head() @ base.norm(x)[0, -1].detach()
    return states, jacobians, logits


def encoder(folder, token_ids, wanted):
    """The same for a model of the BERT family, without logits."""
    model = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager").double().eval()
    model.requires_grad_(False)
    states = model(torch.tensor([token_ids]), output_hidden_states=True).hidden_states
    jacobians = {}
    for l, (block, x) in enumerate(zip(model.encoder.layer, states)):
        def last(row):
            y = block(torch.cat([x[:, :-1], row[None, None]], dim=1))
            return (y[0] if isinstance(y, tuple) else y)[0, -1]

        if l in wanted:
            jacobians[l] = torch.func.jacrev(last)(x[0, -1]) - torch.eye(x.shape[-1], dtype=torch.float64)
    return states, jacobians, None


def expectation(states, jacobians, logits):
    """Spectra and couplings of some blocks, norms of all states of the last token, and the next token."""
    factors = {l: torch.linalg.svd(j) for l, j in jacobians.items()}
    coupling = []
    for i, j_i in jacobians.items():
        s = factors[i][1][:TOP]
        row = []
        for u, _, vt in factors.values():
            a = u[:, :TOP].T @ j_i @ vt[:TOP].T
            row.append(1 - float((a - s.diag()).norm() / s.norm()))
        coupling.append(row)
    found = {
        "blocks": [l + 1 for l in jacobians],
        # One more value than compared, for the gap after the last.
        "singular_values": [factors[l][1][: TOP + 1].tolist() for l in jacobians],
        "coupling": coupling,
        "norms": [float(x[0, -1].norm()) for x in states],
    }
    if logits is not None:
        best = logits.topk(2)
        found |= {"next_token_id": int(best.indices[0]), "margin": float(best.values[0] - best.values[1])}
    return found


def llama_cpp_ids(path):
    """The token ids of llama.cpp, None without its package."""
    try:
        import xllamacpp
    except ImportError:
        return None
    import urllib.request

    parameters = xllamacpp.CommonParams()
    parameters.model.path, parameters.n_ctx, parameters.verbosity = str(path), 256, 0
    server = xllamacpp.Server(parameters)

    def ids(text):
        body = json.dumps({"content": text, "add_special": True, "parse_special": True}).encode()
        request = urllib.request.Request(server.listening_address + "/tokenize", body, {"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(request))["tokens"]

    return [ids(text) for text in TEXTS]


def main(name):
    path, model = real_models.fetch(name), real_models.MODELS[name]
    isFile = path.suffix == ".gguf"
    folder, options = (path.parent, {"gguf_file": path.name}) if isFile else (path, {})
    file = GGUF(path) if isFile else None
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **options)
    if isFile and file.value("tokenizer.ggml.pre") == "smollm":
        # Transformers does not read this setting: as in the model's own tokenizer.json, digits are split first.
        split = tokenizers.pre_tokenizers
        tokenizer._tokenizer.pre_tokenizer = split.Sequence(
            [split.Digits(individual_digits=True), split.ByteLevel(add_prefix_space=False)])
    record = {
        "model": name, "file": model.file, "sha256": model.sha256, "family": model.family,
        "transformers": transformers.__version__,
        "texts": [{"text": text, "token_ids": tokenizer(text)["input_ids"]} for text in TEXTS], "prompts": [],
    }
    for text, ids in zip(record["texts"], llama_cpp_ids(path) or []):
        text["llama_cpp_token_ids"] = ids
    wanted, count = SOME.get(name, (range(file.size("block_count") if isFile else 6), len(PROMPTS)))
    for text in record["texts"][:count]:
        print(f"{name}: {text['text']!r}", file=sys.stderr)
        run = decoder(file, text["token_ids"], wanted) if isFile else encoder(path, text["token_ids"], wanted)
        record["prompts"].append(text | expectation(*run))
    FOLDER.mkdir(exist_ok=True)
    lines = json.dumps(record, ensure_ascii=False)
    (FOLDER / f"{name}.json").write_text(lines.replace('{"text"', '\n{"text"') + "\n")


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit(__doc__)
    for name in sys.argv[1:]:
        main(name)
