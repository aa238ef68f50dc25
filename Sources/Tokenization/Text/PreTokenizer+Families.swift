// The patterns with which published tokenizers split text, by their names in GGUF files. Each is the one in the family's own
// tokenizer.json, not the approximation that other readers of GGUF use.

extension SplitPattern {
  /// Compiles a pattern of this module, which is known to be valid.
  static func known(_ pattern: String) -> SplitPattern {
    do {
      return try SplitPattern(pattern)
    } catch {
      preconditionFailure("\(pattern): \(error.reason)")
    }
  }

  /// The pattern of GPT-2: contractions; words, numbers and other characters, each with the space before; white space.
  static let gpt2 = known(
    #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#)

  /// The pattern of cl100k and its descendants: contractions in either case, words with any one character before, `numbers`,
  /// and line ends with the white space before them.
  static func cl100k(numbers: String) -> SplitPattern {
    known(
      #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"# + numbers
        + #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#)
  }

  /// The pattern of o200k and Tekken, in which words end where lower case is followed by upper case.
  static func o200k(contractions: String, numbers: String) -> SplitPattern {
    known(
      #"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"#
        + contractions
        + #"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"#
        + contractions + "|" + numbers
        + #"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#)
  }
}

extension PreTokenizer {
  /// Splits at the matches of a pattern; each match is a piece.
  static func split(_ pattern: SplitPattern) -> PreTokenizer {
    .split(pattern, .isolated, inverted: false)
  }

  /// Makes numbers pieces of their own, digit by digit or as a whole.
  static func digits(individually: Bool) -> PreTokenizer {
    .split(
      SplitPattern(ScalarClass(traits: .numbers)), individually ? .isolated : .contiguous,
      inverted: false)
  }

  /// Splits at punctuation as defined by `ScalarTraits`.
  static func punctuation(_ behavior: SplitBehavior) -> PreTokenizer {
    .split(SplitPattern(ScalarClass(traits: .punctuation)), behavior, inverted: false)
  }

  /// Splits at white space and drops it.
  static let whitespaceSplit = PreTokenizer.split(
    SplitPattern(ScalarClass(traits: .space)), .removed, inverted: false)

  /// Splits into the matches of `\w+|[^\w\s]+`: text between white space, with words separate from other characters.
  static let whitespace = PreTokenizer.sequence([
    whitespaceSplit,
    .split(SplitPattern(ScalarClass(traits: .word)), .contiguous, inverted: false),
  ])

  /// Splits at white space, and makes each punctuation character a piece.
  static let bert = PreTokenizer.sequence([whitespaceSplit, .punctuation(.isolated)])

  /// Splits by one pattern after another, then converts to the byte-level alphabet.
  private static func byteLevel(after patterns: SplitPattern...) -> PreTokenizer {
    .sequence(patterns.map { .split($0) } + [.byteLevel])
  }

  private static func known(_ pattern: String) -> SplitPattern { .known(pattern) }

  /// How a byte-level vocabulary in a GGUF file is used, according to `tokenizer.ggml.pre`.
  struct Family {
    /// How text is split.
    let preTokenizer: PreTokenizer
    /// Whether text is normalized to NFC first.
    var composes = false
    /// Whether a piece that is itself a token is encoded as that token, regardless of merges.
    var ignoresMerges = false
    /// Whether a text begins with the token of `bos_token_id` if the file does not state it.
    var addsBOS = false
  }

  /// The family with this name; nil if it is unknown.
  static func family(named name: String) -> Family? {
    switch name {
    case "gpt-2", "phi-2", "jais", "gigachat", "a.x-4.0", "mellum", "exaone4", "trillion",
      "granite-docling", "roberta-bpe":
      return Family(preTokenizer: byteLevel(after: .gpt2))
    case "olmo", "mpt", "modern-bert":  // GPT-NeoX
      return Family(preTokenizer: byteLevel(after: .gpt2), composes: true)
    case "smollm", "starcoder", "refact", "codeshell", "minerva-7b", "exaone":
      return Family(
        preTokenizer: .sequence([.digits(individually: true), .split(.gpt2), .byteLevel]))
    case "command-r":
      return Family(
        preTokenizer: .sequence([.digits(individually: true), .split(.gpt2), .byteLevel]),
        composes: true)
    case "llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "lfm2", "midm-2.0":
      return Family(
        preTokenizer: byteLevel(after: .cl100k(numbers: #"\p{N}{1,3}"#)), ignoresMerges: true,
        addsBOS: true)
    case "dbrx", "smaug-bpe", "glm4", "chatglm-bpe":
      return Family(preTokenizer: byteLevel(after: .cl100k(numbers: #"\p{N}{1,3}"#)))
    case "qwen2", "deepseek-r1-qwen", "megrez", "kormo":
      return Family(preTokenizer: byteLevel(after: .cl100k(numbers: #"\p{N}"#)), composes: true)
    case "qwen35":  // marks are parts of words
      return Family(
        preTokenizer: byteLevel(
          after: known(
            #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}"#
              + #"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#)), composes: true)
    case "seed-coder":
      return Family(
        preTokenizer: byteLevel(
          after: known(
            #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"#
              + #"| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"#)))
    case "stablelm2", "hunyuan", "grok-2", "solar-open":
      return Family(preTokenizer: byteLevel(after: .cl100k(numbers: #"\p{N}"#)))
    case "tekken":
      return Family(
        preTokenizer: byteLevel(after: .o200k(contractions: "", numbers: #"\p{N}"#)),
        ignoresMerges: true, addsBOS: true)
    case "gpt-4o", "llama4", "kanana2", "minimax-m2":
      return Family(
        preTokenizer: byteLevel(
          after: .o200k(
            contractions: "(?i:'s|'t|'re|'ve|'m|'ll|'d)?", numbers: #"\p{N}{1,3}"#)))
    case "falcon":
      // Digits and groups of three are split after conversion to the byte-level alphabet, in which a superscript digit can
      // be one of the bytes of a letter.
      return Family(
        preTokenizer: .sequence([
          .punctuation(.contiguous), .split(.gpt2), .byteLevel, .digits(individually: false),
          .split(known("[0-9][0-9][0-9]")),
        ]))
    case "bloom", "gpt3-finnish":
      return Family(preTokenizer: byteLevel(after: known(#" ?[^(\s|.,!?…。，、।۔،)]+"#)))
    case "poro-chat", "viking":
      return Family(
        preTokenizer: byteLevel(
          after: known(#" ?[^(\s|.,!?…。，、।۔،)]+"#), known(#"\p{N}"#)))
    case "deepseek-coder":
      return Family(
        preTokenizer: byteLevel(
          after: known(#"[\r\n]"#), known(#"\s?\p{L}+"#), known(#"\s?\p{P}+"#),
          known("[一-龥ࠀ-一가-퟿]+"), known(#"\p{N}"#)))
    case "deepseek-llm":
      return Family(
        preTokenizer: byteLevel(
          after: known(#"[\r\n]"#), known(#"\s?["# + casedLetters + "]+"),
          known(#"\s?[!-/:-~！-／：-～‘-‟　-。]+"#), known(#"\s+$"#), known("[一-龥ࠀ-一가-퟿]+"),
          known(#"\p{N}"#)))
    case "deepseek-v3", "hunyuan-dense", "joyai-llm":
      return Family(
        preTokenizer: byteLevel(
          after: known(#"\p{N}{1,3}"#), known("[一-龥぀-ゟ゠-ヿ]+"),
          known(
            ##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?"##
              + #"[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#)))
    case "default":
      // The fallback of GGUF readers for a file that names no family.
      return Family(
        preTokenizer: byteLevel(
          after: known(#"[\p{P}\$\+<=>\^~\|]+"#), .gpt2, known(#"\p{N}+"#),
          known("[0-9][0-9][0-9]")))
    default: return nil
    }
  }

  /// The members of a bracket expression for letters with case, as DeepSeek LLM enumerates them.
  private static let casedLetters =
    "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\u{1F7D}"
    + "ᾀ-ᾴᾶ-ᾼ\u{1FBE}ῂ-ῄῆ-ῌῐ-\u{1FD3}ῖ-\u{1FDB}ῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\u{2126}ℨ\u{212A}-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆ"
    + "ﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃"
}
