import Alignment
import Lanczos
import Model

/// Encodes nil as `null`, so that a record says what is missing instead of leaving it out.
@propertyWrapper
public struct Nullable<Value: Codable & Sendable>: Codable, Sendable {
  /// The value, or nil.
  public var wrappedValue: Value?

  /// Wraps a value.
  public init(wrappedValue: Value?) { self.wrappedValue = wrappedValue }

  /// Reads the value, or `null`.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    wrappedValue = container.decodeNil() ? nil : try container.decode(Value.self)
  }

  /// Writes the value, or `null`.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    if let wrappedValue { try container.encode(wrappedValue) } else { try container.encodeNil() }
  }
}

/// A token of a prompt: the last one, or an index from 0, negative from the end.
public enum TokenIndex: Sendable, Equatable, Codable {
  /// The last token.
  case last
  /// From 0; −1 is the last.
  case index(Int)

  /// Reads `last` or an integer; nil for anything else.
  public init?(_ text: String) {
    if text == "last" {
      self = .last
    } else if let i = Int(text) {
      self = .index(i)
    } else {
      return nil
    }
  }

  /// The position in a prompt of `count` tokens, nil when there is none.
  public func position(in count: Int) -> Int? {
    switch self {
    case .last: count > 0 ? count - 1 : nil
    case .index(let i): (-count..<count).contains(i) ? (i + count) % count : nil
    }
  }

  /// Reads what `encode(to:)` writes.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let i = try? container.decode(Int.self) { self = .index(i) } else { self = .last }
  }

  /// `"last"` or the index.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .last: try container.encode("last")
    case .index(let i): try container.encode(i)
    }
  }
}

/// One prompt as it was given.
public enum PromptInput: Sendable, Equatable {
  /// Text, for the model's tokenizer.
  case text(String)
  /// Token ids, used as they are.
  case tokens([Int])
  /// A .safetensors file of pixel values.
  case image(String)
}

/// Every option of a run, as it is in force; recorded in `result.json` by these names in snake case.
public struct RunSettings: Codable, Sendable {
  /// The model as it was named.
  public var model: String
  /// The text an encoder reads, in models that have one.
  @Nullable public var encoderPrompt: String?
  /// Its token ids instead.
  @Nullable public var encoderTokenIds: [Int]?
  /// Triplets of each Jacobian, K.
  public var top = 10
  /// Ranks at which coupling is computed, each at most `top`.
  public var ranks: [Int] = [10]
  /// The share of the width the ranks were taken as, if so.
  @Nullable public var rankShare: Double?
  /// Blocks, counted from 1; nil for all.
  @Nullable public var layers: [Int]?
  /// The input token t1.
  public var fromToken = TokenIndex.last
  /// The output token t2.
  public var toToken = TokenIndex.last
  /// Which residual function.
  public var site = JacobianSite.block
  /// What becomes of the last block.
  public var last = LastBlockMode.residual
  /// Which solver.
  public var solver = SolverKind.auto
  /// Residual norms are held to tolerance · σ₁.
  public var tolerance = 1e-5
  /// Of start vectors and probes.
  public var seed: UInt64 = 0
  /// Shown coupling: sign.
  public var sign = CouplingSign.signed
  /// Shown coupling: normalisation.
  public var normalisation = CouplingNormalisation.frobenius.rawValue
  /// Shown coupling: form.
  public var form = CouplingForm.same
  /// Shown coupling: score.
  public var score = CouplingScore.oneMinus
  /// Whether the shown mean includes the diagonal.
  public var diagonal = DiagonalMode.excluded
  /// Whether the settings are those of the authors' release.
  public var likePaper = false
  /// Peak resident bytes that must not be exceeded.
  @Nullable public var maxMemory: Int?
  /// The model's name in the result.
  public var name: String
  /// Threads of the products.
  public var threads: Int
  /// Whether hidden states are written too.
  public var saveHiddenStates = false
  /// The run folder.
  @Nullable public var output: String?

  /// The defaults for a model.
  public init(model: String, name: String, threads: Int) {
    self.model = model
    self.name = name
    self.threads = threads
  }
}
