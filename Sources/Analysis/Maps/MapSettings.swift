import Lanczos
import Model

/// All settings of `triplets` in effect.
///
/// In `result.json` all members are side by side, their names in snake case.
@dynamicMemberLookup
public struct MapSettings: Codable, Sendable, Equatable {
  /// The model, and how the command is run.
  public var common: ModelSettings
  /// The map.
  public var map = MapSelection()
  /// How the map's triplets are found.
  public var solution = MapSolution()
  /// The number of tokens to list that each singular vector favours and disfavours; nil for none.
  @Nullable public var readOut: Int?

  private enum CodingKeys: CodingKey { case readOut }

  /// The default settings for a model.
  public init(_ common: ModelSettings) { self.common = common }

  /// Reads what `encode(to:)` writes.
  public init(from decoder: any Decoder) throws {
    common = try ModelSettings(from: decoder)
    map = try MapSelection(from: decoder)
    solution = try MapSolution(from: decoder)
    let values = try decoder.container(keyedBy: CodingKeys.self)
    _readOut = try values.decode(Nullable<Int>.self, forKey: .readOut)
  }

  /// Writes one object with the members of all parts.
  public func encode(to encoder: any Encoder) throws {
    try common.encode(to: encoder)
    try map.encode(to: encoder)
    try solution.encode(to: encoder)
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(_readOut, forKey: .readOut)
  }

  /// A member of `common`.
  public subscript<Value>(dynamicMember path: WritableKeyPath<ModelSettings, Value>) -> Value {
    get { common[keyPath: path] }
    set { common[keyPath: path] = newValue }
  }

  /// A member of `map`.
  public subscript<Value>(dynamicMember path: WritableKeyPath<MapSelection, Value>) -> Value {
    get { map[keyPath: path] }
    set { map[keyPath: path] = newValue }
  }

  /// A member of `solution`.
  public subscript<Value>(dynamicMember path: WritableKeyPath<MapSolution, Value>) -> Value {
    get { solution[keyPath: path] }
    set { solution[keyPath: path] = newValue }
  }
}

/// A map between tokens and boundaries as requested: a `JacobianMap` before the model is known.
public struct MapSelection: Codable, Sendable, Equatable {
  /// The boundary A where the map begins, 0 … L; nil for the one before its end.
  @Nullable public var fromLayer: Int?
  /// Where the map ends; nil for the boundary after A, or for L.
  @Nullable public var toLayer: MapEnd?
  /// The two ids whose difference of logits is the output.
  @Nullable public var logits: [Int]?
  /// The input tokens.
  public var fromToken = TokenList.last
  /// The output tokens.
  public var toToken = TokenList.last
  /// The number of tokens at the beginning that `all` leaves out.
  public var skip = 0
  /// Whether the same input is added at every source token.
  public var tied = false
  /// How several output tokens are combined.
  public var reduce = JacobianMap.Reduction.none
  /// The part of a single block that is differentiated.
  public var site = JacobianSite.block
  /// The attention head, from 0.
  @Nullable public var head: Int?
  /// The expert, from 0.
  @Nullable public var expert: Int?
  /// What is held constant besides the other tokens.
  public var linearization = LinearizationKind.full
  /// The paths through several blocks.
  public var path = JacobianMap.Path.all
  /// Whether the identity is kept in maps from which it is otherwise subtracted.
  public var identity = IdentityMode.subtract
  /// Whether the maps of all prompts are averaged.
  public var average = false

  /// The default settings.
  public init() {}
}

/// How many triplets are found, and by which method.
public struct MapSolution: Codable, Sendable, Equatable {
  /// The number of triplets per map, K; nil for 10, or as many as the smallest map has.
  @Nullable public var top: Int?
  /// The solver.
  public var solver = SolverKind.auto
  /// The most vectors that the block solver applies together; nil to choose them by what products cost.
  @Nullable public var blockSize: Int?
  /// Residual norms must not exceed tolerance · σ₁.
  public var tolerance = 1e-5
  /// The precision of states, linearizations and products.
  public var precision = PrecisionMode.auto
  /// What is proven about triplets that were not found.
  public var certify = CertifyMode.auto

  /// The default settings.
  public init() {}
}

/// Whether the identity is part of a map from some tokens to the same tokens between two boundaries.
public enum IdentityMode: String, Sendable, CaseIterable, Codable {
  /// The identity is subtracted, so that one block gives the residual Jacobian.
  case subtract
  /// The identity is kept.
  case keep
}

/// Where a map ends: `12`, `final` or `logits`.
public enum MapEnd: Sendable, Equatable, Codable {
  /// The boundary after this many blocks.
  case layer(Int)
  /// The states after the final norm.
  case final
  /// The logits.
  case logits

  /// Reads a boundary, `final` or `logits`; nil for anything else.
  public init?(_ text: String) {
    switch text {
    case "final": self = .final
    case "logits": self = .logits
    default:
      guard let layer = Int(text) else { return nil }
      self = .layer(layer)
    }
  }

  /// The text that `init(_:)` reads.
  public var text: String {
    switch self {
    case .layer(let layer): "\(layer)"
    case .final: "final"
    case .logits: "logits"
    }
  }

  /// Reads what `encode(to:)` writes.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let layer = try? container.decode(Int.self) {
      self = .layer(layer)
      return
    }
    let word = try container.decode(String.self)
    guard let end = MapEnd(word) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "neither a boundary, final nor logits")
    }
    self = end
  }

  /// Writes the boundary, `"final"` or `"logits"`.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .layer(let layer): try container.encode(layer)
    case .final, .logits: try container.encode(text)
    }
  }
}
