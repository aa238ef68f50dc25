"""Makes the tokenizers in Fixtures, and the results of the Python package `tokenizers` with them.

    python make_fixtures.py

Needs `tokenizers`, `gguf` and `sentencepiece`. For every configuration below, a small vocabulary is trained on the texts in
this file and written to Fixtures/NAME.json, with the components of the named family's tokenizer.json. Fixtures/expected.json
has the ids and the decoded text of every difficult text with each of them. NAME.gguf has the same vocabulary in a GGUF file.
"""

import base64
import collections
import io
import json
import os
import random
import unicodedata
import zlib

import gguf
import sentencepiece as sp
import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, trainers
from tokenizers import pre_tokenizers as pre
from tokenizers import processors

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "Fixtures")

# ---------------------------------------------------------------------------------------------------------------------
# Texts to train on, and texts to test with.

TRAINING = [
    "What is the capital of France? The capital is Paris, and the river is the Seine.",
    "Water boils at one hundred degrees Celsius because the vapour pressure reaches that of the air.",
    "I'll say it's what they've done; we're sure you'd agree, I'm certain he can't. DON'T SHOUT, THEY'LL HEAR.",
    "Numbers: 1 12 123 1234 12345 3.14159 2,718,281 10^-9 0xFF 50% 1/2",
    "def norm(v):\n    total = 0.0\n    for x in v:\n        total += x * x\n    return total ** 0.5\n",
    "for (int i = 0; i < n; ++i) { y[i] += a * x[i]; }  // axpy\n\tif (err != NULL) { return -1; }\n",
    "Der Fluß fließt über Größen und Straßen. Où est la bibliothèque française? ¿Dónde está el niño?",
    "Быстрая коричневая лиса прыгает через ленивую собаку. Η γρήγορη αλεπού πηδάει πάνω από το σκύλο.",
    "日本語のテキストと中文文本。东京是日本的首都。한국어 텍스트도 있습니다.",
    "שלום עולם, זה טקסט בעברית. مرحبا بالعالم، هذا نص عربي. नमस्ते दुनिया। สวัสดีชาวโลก",
    "Emoji: 😀 👍🏽 👩‍👩‍👧 🇫🇷 ❤️ 🎉🎉",
    "    indented    twice\n\n\n\nafter blank lines\r\n\r\ncarriage returns\t\ttabs",
    "The singular value decomposition of the Jacobian of the residual block is the product U S V.",
    "lowerCamelCase UpperCamelCase snake_case SCREAMING_CASE kebab-case HTTPServer parseJSON",
]

TEXTS = [
    "",
    " ",
    "a",
    "What is the capital of France? The capital is",
    "Water boils at one hundred degrees Celsius because",
    " leading blank", "trailing blank ", "  two  blanks  everywhere  ", "      ", "\n", "\n\n\n", "\t", "\t\t x",
    " \n \n ", "a \n b", "a\r\nb\r\n\r\nc", "end of line \n", "x\n\n  \n\ty", "   \n", "one\u00a0two\u3000three\u2003four",
    "\u0085next\u2028line\u2029paragraph\x0b\x0c", "zero\u200bwidth\u2060joiner\ufeff",
    "I'll it's they've we're you'd I'm can't", "I'LL IT'S THEY'VE WE'RE YOU'D I'M CAN'T",
    "it'ſ ' 's 'tis 'll'll ''s d'accord l'été o'clock", "’s ’t curly it’s",
    "1 12 123 1234 12345 1234567890", "3.14159e-10 0x1F 1,000,000 v1.2.3", "½ ² ³ Ⅷ ① ٣٤٥ १२३ 𝟙𝟚 ㊿",
    "x²+y³=z⁴", "café cafe\u0301 na\u00efve nai\u0308ve \u212b \u00c5 A\u030a",
    "q\u0307\u0323 q\u0323\u0307 \u1e69 s\u0323\u0307 \u0344 \u0958 \u2126", "\u1100\u1161\u11a8 \uac01 \uac00\u11a8 \u1100\u1161",
    "ﬁ ﬂ ﬆ Ǆ ǆ ß ẞ İ ı", "Größe Straße ÜBER", "Où est-ce? ¿Qué? ¡No!",
    "日本語と中文。東京は日本の首都です。", "，。！？：；「」『』（）", "漢字kanjiカタカナひらがな123", "한국어 텍스트 테스트",
    "𠮷野家 𝒳 𝔘nicode", "Быстрая лиса. ΑΒΓ αβγ ς",
    "שָׁלוֹם עולם 123 abc", "مرحبا بالعالم ١٢٣ \u200fabc\u200e", "नमस्ते दुनिया क्षि", "สวัสดีชาวโลก ครับ", "བོད་ཡིག မြန်မာ",
    "😀", "👩‍👩‍👧‍👦 family", "👍🏽👍🏿 ❤️ ☺ 🇫🇷🇩🇪 🏴󠁧󠁢󠁥󠁮󠁧󠁿", "a😀b 1😀2",
    "def f(x):\n    if x != 0:\n        return x ** 2\n\treturn None\n", "for(int i=0;i<n;++i){a[i]=b[i]*c;} /* c */ // d\n",
    "<html><body class=\"x\">&amp;</body></html>", "https://example.org/path?q=1&r=%20#frag user@example.org",
    "!!!??? ... --- *** === ~~~ ```", "$100 €50 £20 ¥3 +5% −7 ± × ÷ ∑ ∫ √ ≤", "\"quotes\" 'single' “double” «guillemets»",
    "a,b;c:d.e!f?g/h\\i|j", "(nested [brackets {and} more])", "snake_case camelCase PascalCase HTTPServer XMLHttpRequest2",
    "McDonald's iPhone15 GPT-4o", "\x00\x01\x02\x1b[31mred\x7f\x80\x9f", "\ufffd\ufffe\uffff\U0010ffff\ue000",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "ababababababababababababab", "          x          ", "\n\n\n\n\n\n\n\nx",
    "<|endoftext|>", "<|endoftext|><|endoftext|>", "a<|endoftext|>b", " <|endoftext|> ", "<|endoftext", "<s>Hello</s> world<s>", "</s><unk>",
    "▁already▁marked ▁", "Ġalready Ċspelt", "[MASK] x[MASK]  y [MASK]z", "word wordy words wo rd WORD word.", "keep  this\n token", "<0x41> <0xFF>",
    "#version 2 #version", "İstanbul DİYARBAKIR", "ǅ ᾼ ʰ ª º",
]  # fmt: skip

TEXTS += [
    "\u202eright to left\u202c \u2066isolated\u2069 \u061c x\u00ady", "ｆｕｌｌｗｉｄｔｈ　ＡＢＣ１２３ ｶﾞｷﾞ ㌢ ㍿ ™ ℃ Ⅻ ﷺ",
    "e\u0301\u0302\u0303 \u00ea\u0301 a\u0323\u0302 \u1ead q\u0308\u0323 \u0301lone", "x" * 101 + " " + "y" * 100 + " z" + "\u0301" * 120,
    "a\r\nb\r\n\r\n  c\r", "1\u200d2 \u200c\u200d x\u200b\u200by \ufeffbom", "\\u00e9 \\x41 &#233; %C3%A9 \\n \\\\ \\ud83d",
    "\U0001f9d1\u200d\U0001f4bb\U0001f9d1\U0001f3fd\u200d\U0001f91d\u200d\U0001f9d1\U0001f3fb \u0e01\u0e33 \u1100\u1161\u11a8\u11a8",
    "don't do not won ' t , . ! ? it 's I 'm", "unbelievably 中国人 naïveté ÉCOLE straße ΣΊΣΥΦΟΣ", "a" * 300, " " * 200 + "x", "\n " * 30,
    "\u2581\u2581a \u2581 b\u2581", "  \t \u3000 a", "<unk> <unk>x<pad></s> [UNK] [CLS]x[SEP]", "१२३ ๑๒๓ ꣐ 𑁦 ᭞ ᙮ 𑇉 ؝",
    "\u1734 \u1885 \ua9bd \u0f35 \u0903 \u20dd \ufe0f", "\u0344 \u2126 \u212b \u1e9b\u0323 \u017f \ufdfa \u3392 \U0001d49c",
]  # fmt: skip

generator = random.Random(1)
BLOCKS = [(0x20, 0x7F), (0x20, 0x7F), (0x00, 0x20), (0x80, 0x250), (0x300, 0x370), (0x370, 0x530), (0x590, 0x700),
          (0x900, 0xE80), (0x1100, 0x1200), (0x2000, 0x2400), (0x3000, 0x3100), (0x4E00, 0x4F00), (0xAC00, 0xAD00),
          (0xFF00, 0xFFF0), (0x1D400, 0x1D800), (0x1F300, 0x1F650)]  # fmt: skip
for _ in range(24):
    text = ""
    while len(text) < 30:
        low, high = generator.choice(BLOCKS)
        text += "".join(chr(generator.randrange(low, high)) for _ in range(generator.randint(1, 4)))
        text += generator.choice(["", "", " ", "  ", "\n", "'", "1"])
    TEXTS.append(text)

# ---------------------------------------------------------------------------------------------------------------------
# The patterns in the published files.

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
LLAMA3 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
TEKKEN = rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*|\p{{N}}" + REST
GPT4O = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{CONTRACTIONS}?|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{CONTRACTIONS}?"
    rf"|\p{{N}}{{1,3}}" + REST
)
POSSESSIVE = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
DEEPSEEK3 = [
    r"\p{N}{1,3}",
    r"[一-龥぀-ゟ゠-ヿ]+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
]
DEEPSEEK_CODER = [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-\ud7ff]+", r"\p{N}"]
CASED = (
    "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\u1f7d"
    "ᾀ-ᾴᾶ-ᾼ\u1fbeῂ-ῄῆ-ῌῐ-\u1fd3ῖ-\u1fdbῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\u2126ℨ\u212a-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎ"
    "ꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃"
)
DEEPSEEK_LLM = [r"[\r\n]", r"\s?[" + CASED + "]+", r"\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$", "[一-龥ࠀ-一가-\ud7ff]+", r"\p{N}"]
BLOOM = r" ?[^(\s|.,!?…。，、।۔،)]+"


def split(pattern, behavior="isolated", invert=False):
    return pre.Split(Regex(pattern), behavior, invert)


def plain_bytes():
    return pre.ByteLevel(add_prefix_space=False, use_regex=False)


def gpt2_bytes(prefix=False):
    return pre.ByteLevel(add_prefix_space=prefix)


def after(*patterns):
    return pre.Sequence([split(p) for p in patterns] + [plain_bytes()])


# ---------------------------------------------------------------------------------------------------------------------
# Making and saving.


def save(name, tokenizer, edit=None, spaced_merges=False):
    """Writes a tokenizer as compact JSON; with `spaced_merges`, writes merges as "a b", like older files."""
    document = json.loads(tokenizer.to_str())
    if spaced_merges:
        document["model"]["merges"] = [" ".join(pair) for pair in document["model"]["merges"]]
    if edit:
        edit(document)
    with open(os.path.join(FOLDER, name + ".json"), "w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=False, separators=(",", ":"))
    return document


def byte_level(pre_tokenizer, normalizer=None, size=640, specials=("<|endoftext|>",)):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(specials), initial_alphabet=pre.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(TRAINING * 2, trainer)
    return tokenizer


def template(tokenizer, before, after=None):
    single = f"{before} $A" + (f" {after}" if after else "")
    names = [before] + ([after] if after else [])
    return processors.TemplateProcessing(
        single=single, pair=f"{single} $B", special_tokens=[(n, tokenizer.token_to_id(n)) for n in names]
    )


def write_gguf(name, document, pre_name=None, scores=None, **flags):
    vocab = document["model"]["vocab"]
    added = {token["id"]: token for token in document["added_tokens"]}
    tokens = {i: t for t, i in vocab.items()} | {i: t["content"] for i, t in added.items()}
    ids = sorted(tokens)
    assert ids == list(range(len(ids)))
    types = []
    for i in ids:
        if i in added:
            kind = gguf.TokenType.CONTROL if added[i]["special"] else gguf.TokenType.USER_DEFINED
        elif scores and len(tokens[i]) == 6 and tokens[i].startswith("<0x"):
            kind = gguf.TokenType.BYTE
        else:
            kind = gguf.TokenType.NORMAL
        types.append(int(kind))
    writer = gguf.GGUFWriter(os.path.join(FOLDER, name + ".gguf"), "llama")
    writer.add_tokenizer_model("llama" if scores else "gpt2")
    if pre_name:
        writer.add_tokenizer_pre(pre_name)
    writer.add_token_list([tokens[i] for i in ids])
    writer.add_token_types(types)
    if scores:
        writer.add_token_scores([scores[i] for i in ids])
    else:
        writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in document["model"]["merges"]])
    for key, value in flags.items():
        if isinstance(value, bool):
            writer.add_bool(f"tokenizer.ggml.{key}", value)
        else:
            writer.add_uint32(f"tokenizer.ggml.{key}", value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


names = []


def family(name, tokenizer, pre_name=None, edit=None, spaced_merges=False, **flags):
    names.append(name)
    document = save(name, tokenizer, edit, spaced_merges)
    if pre_name:
        write_gguf(name, document, pre_name, **flags)


# ---------------------------------------------------------------------------------------------------------------------
# Byte-level families.


def llama3():
    tokenizer = byte_level(after(LLAMA3), specials=())
    tokenizer.model.ignore_merges = True
    tokenizer.add_special_tokens(["<|begin_of_text|>", "<|end_of_text|>", "<|endoftext|>"])
    tokenizer.post_processor = processors.Sequence(
        [processors.ByteLevel(trim_offsets=False), template(tokenizer, "<|begin_of_text|>")]
    )

    def leave_words_without_merges(document):
        # Removes the merges that produce some words, which are then found only with `ignore_merges`.
        merges = document["model"]["merges"]
        document["model"]["merges"] = [pair for pair in merges if "".join(pair) not in ("Ġthe", "Ġcapital", "Ġis")]

    family("llama3", tokenizer, "llama-bpe", edit=leave_words_without_merges,
           bos_token_id=tokenizer.token_to_id("<|begin_of_text|>"))  # fmt: skip


def gpt_neox():
    tokenizer = byte_level(gpt2_bytes(), normalizers.NFC())
    tokenizer.add_tokens([AddedToken(" " * n, normalized=True) for n in range(2, 7)])
    tokenizer.add_tokens([AddedToken("caf\u00e9", normalized=True), AddedToken("|||IP|||", normalized=False)])
    family("gpt-neox", tokenizer)


def roberta():
    tokenizer = byte_level(gpt2_bytes(prefix=True), specials=("<s>", "</s>", "<unk>"))
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0))
    family("roberta", tokenizer)


def clip():
    tokenizer = Tokenizer(models.BPE(unk_token="<|endoftext|>", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre.Sequence(
        [split(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+", "removed", invert=True), gpt2_bytes()])
    tokenizer.decoder = decoders.BPEDecoder(suffix="</w>")
    trainer = trainers.BpeTrainer(
        vocab_size=900, special_tokens=["<|startoftext|>", "<|endoftext|>"], end_of_word_suffix="</w>",
        initial_alphabet=pre.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(TRAINING * 2, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(
        ("<|endoftext|>", 1), ("<|startoftext|>", 0), trim_offsets=False, add_prefix_space=False)

    def with_every_end(document):
        # The published vocabulary has every character with and without the end of a word.
        vocab = document["model"]["vocab"]
        for character in sorted(pre.ByteLevel.alphabet()):
            vocab.setdefault(character + "</w>", len(vocab))
        del vocab["Ń</w>"]

    family("clip", tokenizer, edit=with_every_end)


def added_tokens():
    tokenizer = byte_level(gpt2_bytes())
    tokenizer.add_special_tokens([AddedToken("[MASK]", lstrip=True), AddedToken("<s>", rstrip=True)])
    tokenizer.add_tokens([
        AddedToken("word", single_word=True, normalized=False), AddedToken("wo", normalized=False),
        AddedToken("keep  this\n", normalized=False), AddedToken("keep", normalized=True),
        AddedToken("  ", normalized=False, lstrip=True, rstrip=True), AddedToken("日本", normalized=True),
    ])  # fmt: skip
    family("added-tokens", tokenizer)


def falcon():
    pre_tokenizer = pre.Sequence([
        pre.Punctuation(behavior="contiguous"), gpt2_bytes(), pre.Digits(individual_digits=False), split("[0-9][0-9][0-9]"),
    ])  # fmt: skip
    family("falcon", byte_level(pre_tokenizer), "falcon")


def split_behaviors():
    pre_tokenizer = pre.Sequence([
        split(r"\n", "removed"), split(r"[.!?]", "merged_with_previous"), split(r"[A-Z]", "merged_with_next"),
        split(r"[a-m]", "contiguous"), split(r"[^ ]+", "removed", invert=True), pre.Split("::", "isolated"),
        split(r"[\d&&\p{N}]".replace("&&", ""), "isolated"), pre.Punctuation(behavior="removed"), plain_bytes(),
    ])  # fmt: skip
    family("split-behaviors", byte_level(pre_tokenizer))


def normalizing():
    steps = [normalizers.NFD(), normalizers.Lowercase(), normalizers.Strip(), normalizers.Replace(Regex(r"\p{Mn}"), ""),
             normalizers.Replace("ß", "ss"), normalizers.Prepend("»")]  # fmt: skip
    family("normalizing", byte_level(gpt2_bytes(), normalizers.Sequence(steps)))


# ---------------------------------------------------------------------------------------------------------------------
# SentencePiece-like families: characters, ▁ for a space, byte tokens for what is not in the vocabulary.


def sentencepiece(size=420):
    """The vocabulary, and the merges that a converter derives from a SentencePiece model: every pair that spells a token."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre.Metaspace()
    training = TRAINING[:5] * 3 + TRAINING[6:8] + TRAINING[12:]
    # The alphabet is chosen here, because the trainer breaks ties differently from run to run.
    counts = collections.Counter("".join(training).replace(" ", "▁"))
    alphabet = sorted(counts, key=lambda c: (-counts[c], c))[:90]
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, limit_alphabet=90, show_progress=False)
    tokenizer.train_from_iterator(training, trainer)
    trained = json.loads(tokenizer.to_str())["model"]
    merged = ["".join(pair) for pair in trained["merges"]]
    characters = [t for t in trained["vocab"] if t not in set(merged)]
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)] + merged + characters
    vocab = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
    scores = [0.0] * 259 + [-float(i) for i in range(len(vocab) - 259)]
    merges = []
    for token in sorted(merged, key=lambda t: vocab[t]):
        pairs = [(token[:i], token[i:]) for i in range(1, len(token))]
        merges += [pair for pair in pairs if pair[0] in vocab and pair[1] in vocab]
    return vocab, merges, scores


VOCAB, MERGES, SCORES = sentencepiece()


def byte_fallback(normalizer, pre_tokenizer, decoder, bos=True):
    tokenizer = Tokenizer(models.BPE(VOCAB, MERGES, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if normalizer:
        tokenizer.normalizer = normalizer
    if pre_tokenizer:
        tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoder
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    if bos:
        tokenizer.post_processor = template(tokenizer, "<s>")
    return tokenizer


def llama2():
    decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer = byte_fallback(
        normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]), None, decoder
    )
    names.append("llama2")
    document = save("llama2", tokenizer, spaced_merges=True)
    write_gguf("llama2", document, scores=SCORES, bos_token_id=1, eos_token_id=2, unknown_token_id=0)


def mistral():
    decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    family("mistral", byte_fallback(None, pre.Metaspace(prepend_scheme="first", split=False), decoder))


def gemma():
    decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    family(
        "gemma", byte_fallback(normalizers.Replace(" ", "▁"), pre.Split(" ", "merged_with_previous"), decoder, bos=False)
    )


def metaspace():
    tokenizer = byte_fallback(None, pre.Metaspace(), decoders.Metaspace())
    tokenizer.post_processor = template(tokenizer, "<s>", "</s>")

    def without_bytes(document):
        document["model"]["byte_fallback"] = False

    family("metaspace", tokenizer, edit=without_bytes)


def unfused():
    tokenizer = byte_fallback(None, pre.Metaspace(prepend_scheme="always", split=True), decoders.Metaspace())

    def edit(document):
        document["model"]["byte_fallback"] = False
        document["model"]["fuse_unk"] = False
        document["decoder"] = None

    family("unfused", tokenizer, edit=edit)


# ---------------------------------------------------------------------------------------------------------------------
# Unigrams and word pieces.


def character_map(rules):
    """The table that SentencePiece compiles from rules (source, target), extracted from a trained model."""
    path = os.path.join(FOLDER, "rules.tsv")
    with open(path, "w") as file:
        for source, target in rules:
            spelt = ["".join(f"{ord(c):X} " for c in side).strip() for side in (source, target)]
            file.write("\t".join(spelt) + "\n")
    model = io.BytesIO()
    sp.SentencePieceTrainer.train(sentence_iterator=iter(TRAINING), model_writer=model, vocab_size=600, hard_vocab_limit=False,
                                  normalization_rule_tsv=path, minloglevel=2)  # fmt: skip
    os.remove(path)
    # In the protocol buffer, the normalizer is field 3 of the model, and the table is field 2 of the normalizer.
    return field_of(field_of(model.getvalue(), 3), 2)


def field_of(message, wanted):
    """The bytes of a field in a protocol buffer message."""
    position = 0

    def number():
        nonlocal position
        value = shift = 0
        while True:
            byte = message[position]
            position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while position < len(message):
        key = number()
        if key & 7 == 0:
            number()
        else:
            size = {1: 8, 5: 4}[key & 7] if key & 7 in (1, 5) else number()
            if key >> 3 == wanted:
                return message[position : position + size]
            position += size
    raise ValueError(f"no field {wanted}")


def unigram_vocabulary(size=500):
    """The tokens and scores that the trainer finds, with scores rounded so that a 32-bit float is exact."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=size, unk_token="<unk>", special_tokens=["<pad>", "</s>", "<unk>"],
                                      show_progress=False)  # fmt: skip
    tokenizer.train_from_iterator(TRAINING[:7] * 2 + TRAINING[12:], trainer)
    vocabulary = json.loads(tokenizer.to_str())["model"]["vocab"]
    ranked = sorted(vocabulary[3:], key=lambda pair: (-round(pair[1], 3), pair[0]))
    return vocabulary[:3] + [[token, round(score * 64) / 64] for token, score in ranked]


def unigram(name, normalizer, pre_tokenizer, decoder, byte_fallback=False, specials=("</s>",), **flags):
    vocabulary = [list(pair) for pair in UNIGRAMS]
    if byte_fallback:
        vocabulary += [[f"<0x{byte:02X}>", -20.0] for byte in range(256)]
    tokenizer = Tokenizer(models.Unigram([tuple(pair) for pair in vocabulary], 2, byte_fallback))
    if normalizer:
        tokenizer.normalizer = normalizer
    if pre_tokenizer:
        tokenizer.pre_tokenizer = pre_tokenizer
    if decoder:
        tokenizer.decoder = decoder
    tokenizer.add_special_tokens(["<pad>", "</s>", "<unk>"])
    if specials:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
        )
    names.append(name)
    save(name, tokenizer)
    if flags:
        write_unigram_gguf(name, vocabulary, **flags)


def write_unigram_gguf(name, vocabulary, table, **flags):
    writer = gguf.GGUFWriter(os.path.join(FOLDER, name + ".gguf"), "t5")
    kinds = {"<pad>": gguf.TokenType.CONTROL, "</s>": gguf.TokenType.CONTROL, "<unk>": gguf.TokenType.UNKNOWN}
    writer.add_tokenizer_model("t5")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([token for token, _ in vocabulary])
    writer.add_token_scores([score for _, score in vocabulary])
    writer.add_token_types([int(kinds.get(token, gguf.TokenType.NORMAL)) for token, _ in vocabulary])
    writer.add_precompiled_charsmap(table)
    writer.add_eos_token_id(1)
    writer.add_unk_token_id(2)
    for key, value in flags.items():
        writer.add_bool(f"tokenizer.ggml.{key}", value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def t5():
    # A small table with the effect of SentencePiece's own rules on these texts: NFKC, controls dropped, spaces made plain.
    nmt = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()])
    alphabet = sorted({c for text in TEXTS + TRAINING for c in text if c != "\0"})
    rules = {c: nmt.normalize_str(c) for c in alphabet if nmt.normalize_str(c) != c}
    rules |= {a + b: nmt.normalize_str(a + b) for text in TEXTS for a, b in zip(text, text[1:])
              if "\0" not in a + b and "\u0300" <= b < "\u0370" and nmt.normalize_str(a + b) != nmt.normalize_str(a) + nmt.normalize_str(b)}  # fmt: skip
    table = character_map(rules.items())
    charsmap = base64.b64encode(table).decode()

    def precompiled():
        return normalizers.Precompiled(table)

    assert charsmap
    both = [normalizers.Strip(left=True, right=True), normalizers.Replace(Regex(" {2,}"), " ")]
    unigram("t5", normalizers.Sequence([precompiled()] + both), pre.Metaspace(), decoders.Metaspace(),
            table=table, remove_extra_whitespaces=True, add_space_prefix=True, add_bos_token=False, add_eos_token=True)  # fmt: skip
    unigram("t5-older", precompiled(), pre.Sequence([pre.WhitespaceSplit(), pre.Metaspace()]), decoders.Metaspace())
    converted = [precompiled(), normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), "▁")]
    unigram("unigram-bytes", normalizers.Sequence(converted), pre.Metaspace(prepend_scheme="first"),
            decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="first")]), byte_fallback=True)  # fmt: skip
    unigram("unigram-plain", None, None, None, specials=())
    unigram("unigram-first", normalizers.NFKD(), pre.Sequence([pre.WhitespaceSplit(), pre.Metaspace(prepend_scheme="first")]),
            decoders.Metaspace(prepend_scheme="first"))  # fmt: skip
    unigram("unigram-never", normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.StripAccents()]),
            pre.Metaspace(prepend_scheme="never", split=False), decoders.Metaspace(prepend_scheme="never"))  # fmt: skip


def word_piece(normalizer, pre_tokenizer, size=500, limit=100, prefix="##", uncased=True):
    # All frequent characters, and the most frequent beginnings and continuations of words. The trainer is not used, because
    # it breaks ties differently from run to run.
    cleaning = normalizers.BertNormalizer(lowercase=uncased)
    words = [word for text in TRAINING for word, _ in pre.BertPreTokenizer().pre_tokenize_str(cleaning.normalize_str(text))]
    counts = collections.Counter()
    for word in words:
        for start in range(len(word)):
            for end in range(start + 2, len(word) + 1):
                counts[("##" if start else "") + word[start:end]] += 1 if start else 2
    characters = collections.Counter("".join(words))
    alphabet = sorted(characters, key=lambda c: (-characters[c], c))[:120]
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens = specials + alphabet + ["##" + c for c in alphabet]
    tokens += sorted(counts, key=lambda t: (-counts[t], t))[: size - len(tokens)]
    vocabulary = {t.replace("##", prefix, 1) if t.startswith("##") else t: i for i, t in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordPiece(
        vocabulary, unk_token="[UNK]", max_input_chars_per_word=limit, continuing_subword_prefix=prefix))  # fmt: skip
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.WordPiece(prefix=prefix, cleanup=limit == 100)
    tokenizer.add_special_tokens(specials)
    return tokenizer


def write_bert_gguf(name, document):
    """Writes a GGUF file like llama.cpp's converter: ▁ before tokens that begin a word, nothing before those that continue one."""
    tokens = sorted(document["model"]["vocab"], key=document["model"]["vocab"].get)
    special = {token["content"] for token in document["added_tokens"]}
    writer = gguf.GGUFWriter(os.path.join(FOLDER, name + ".gguf"), "bert")
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([t if t in special else t[2:] if t.startswith("##") else "▁" + t for t in tokens])
    writer.add_token_types([int(gguf.TokenType.CONTROL if t in special else gguf.TokenType.NORMAL) for t in tokens])
    writer.add_unk_token_id(1)
    writer.add_sep_token_id(3)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def bert():
    def named(name, tokenizer, edit=None, with_gguf=False):
        names.append(name)
        document = save(name, tokenizer, edit)
        if with_gguf:
            write_bert_gguf(name, document)

    uncased = word_piece(normalizers.BertNormalizer(), pre.BertPreTokenizer())
    uncased.post_processor = template(uncased, "[CLS]", "[SEP]")
    # Published files set truncation and padding, which matter only for batches.
    uncased.enable_truncation(16)
    uncased.enable_padding(length=16)
    named("bert-uncased", uncased, with_gguf=True)
    cased = word_piece(normalizers.BertNormalizer(lowercase=False), pre.BertPreTokenizer(), uncased=False)
    cased.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    # Files of 2019 do not state the type of their model.
    named("bert-cased", cased, edit=lambda document: document["model"].pop("type"), with_gguf=True)
    rough = word_piece(
        normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False),
        pre.Whitespace(), limit=12, prefix="@@", uncased=False)  # fmt: skip
    named("word-pieces", rough)
    bare = word_piece(normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()]), pre.WhitespaceSplit(), limit=4000)
    bare.add_tokens([AddedToken("ecole", single_word=True), AddedToken("do", normalized=False)])
    named("word-pieces-bare", bare)


# ---------------------------------------------------------------------------------------------------------------------

os.makedirs(FOLDER, exist_ok=True)
for old in os.listdir(FOLDER):
    os.remove(os.path.join(FOLDER, old))

family("gpt2", byte_level(gpt2_bytes()), "gpt-2", spaced_merges=True)
family("smollm2", byte_level(pre.Sequence([pre.Digits(individual_digits=True), gpt2_bytes()])), "smollm")
qwen2_specials = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
family("qwen2", byte_level(after(QWEN2), normalizers.NFC(), specials=qwen2_specials), "qwen2", add_bos_token=False,
       add_eos_token=True, bos_token_id=0, eos_token_id=0,
       edit=lambda d: d.update(post_processor={"type": "TemplateProcessing", "single": [
           {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}], "pair": [],
           "special_tokens": {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"]}}}))  # fmt: skip
family("olmo", byte_level(gpt2_bytes(), normalizers.NFC()), "olmo")
family("tekken", byte_level(after(TEKKEN)), "tekken", add_bos_token=False,
       edit=lambda d: d["model"].update(ignore_merges=True))  # fmt: skip
family("gpt-4o", byte_level(after(GPT4O)), "gpt-4o")
family("possessive", byte_level(after(POSSESSIVE)))
family("deepseek-v3", byte_level(after(*DEEPSEEK3)), "deepseek-v3")
family("deepseek-llm", byte_level(after(*DEEPSEEK_LLM)), "deepseek-llm")
family("deepseek-coder", byte_level(after(*DEEPSEEK_CODER)), "deepseek-coder")
family("bloom", byte_level(after(BLOOM)), "bloom")
llama3()
gpt_neox()
roberta()
clip()
added_tokens()
falcon()
split_behaviors()
normalizing()
llama2()
mistral()
gemma()
metaspace()
unfused()
UNIGRAMS = unigram_vocabulary()
t5()
bert()

# JSON cannot represent unpaired surrogates; the texts contain none.
expected = {"tokenizers": tokenizers.__version__, "texts": TEXTS, "cases": {}}
for name in names:
    tokenizer = Tokenizer.from_file(os.path.join(FOLDER, name + ".json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    ids = [tokenizer.encode(text).ids for text in TEXTS]
    expected["cases"][name] = {
        "ids": ids,
        "plain": [tokenizer.encode(text, add_special_tokens=False).ids for text in TEXTS[:12]],
        "decoded": [tokenizer.decode(i, skip_special_tokens=False) for i in ids],
        "skipped": [tokenizer.decode(i, skip_special_tokens=True) for i in ids],
    }
    # Byte-level decoding returns the text itself; repeating it here would double the size of the file.
    for key in ("decoded", "skipped"):
        texts = expected["cases"][name][key]
        expected["cases"][name][key] = [None if d == t else d for d, t in zip(texts, TEXTS)]
# The result of each step for every scalar that Python's Unicode tables know, between two letters, as one checksum per 2¹⁴
# scalars.
expected["unicode"] = int(unicodedata.unidata_version.split(".")[0])
expected["steps"] = []
for step in [normalizers.NFC(), normalizers.NFD(), normalizers.NFKC(), normalizers.NFKD(), normalizers.Lowercase(),
             normalizers.StripAccents(), normalizers.Nmt(), normalizers.BertNormalizer(), pre.BertPreTokenizer(),
             pre.Whitespace(), pre.WhitespaceSplit(), pre.Digits(), pre.Punctuation()]:  # fmt: skip
    tokenizer = Tokenizer(models.BPE())
    is_normalizer = hasattr(step, "normalize_str")
    if is_normalizer:
        tokenizer.normalizer = step
    else:
        tokenizer.pre_tokenizer = step
    sums = []
    for block in range(0, 0x110000, 1 << 14):
        checksum = 0
        for text in (chr(c) for c in range(block, block + (1 << 14)) if not 0xD800 <= c < 0xE000):
            if unicodedata.category(text) != "Cn":
                text = f"x{text}y"
                pieces = [step.normalize_str(text)] if is_normalizer else [p for p, _ in step.pre_tokenize_str(text)]
                checksum = zlib.crc32("".join(piece + "\n" for piece in pieces).encode(), checksum)
        sums.append(checksum)
    expected["steps"].append({"tokenizer": tokenizer.to_str(), "sums": sums})
with open(os.path.join(FOLDER, "expected.json"), "w", encoding="utf-8") as file:
    json.dump(expected, file, ensure_ascii=True, separators=(",", ":"))
print(sum(os.path.getsize(os.path.join(FOLDER, f)) for f in os.listdir(FOLDER)), "bytes")
