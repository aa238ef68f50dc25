import Lanczos
import Model

/// Every setting of `triplets`, as it is in force.
///
/// In `result.json` all members stand side by side, by their names in snake case.
@dynamicMemberLookup
public struct MapSettings: Codable, Sendable, Equatable {
  /// The model, and how the command is executed.
  public var common: ModelSettings
  /// Which map.
  public var map = MapSelection()
  /// How its triplets are found.
  public var solution = MapSolution()
  /// Tokens that each singular vector favours, and disfavours, to be listed; nil for none.
  @Nullable public var readOut: Int?

  private enum CodingKeys: CodingKey { case readOut }

  /// The defaults for a model.
  public init(_ common: ModelSettings) { self.common = common }

  /// Reads what `encode(to:)` writes.
  public init(from decoder: any Decoder) throws {
    common = try ModelSettings(from: decoder)
    map = try MapSelection(from: decoder)
    solution = try MapSolution(from: decoder)
    let values = try decoder.container(keyedBy: CodingKeys.self)
    _readOut = try values.decode(Nullable<Int>.self, forKey: .readOut)
  }

  /// One object with the members of all parts.
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

/// Which map between tokens and boundaries, as it was asked for: `JacobianMap` before the model is known.
public struct MapSelection: Codable, Sendable, Equatable {
  /// The boundary A the map begins at, 0 … L; nil for the one before its end.
  @Nullable public var fromLayer: Int?
  /// Where it ends; nil for the boundary after A, or for L.
  @Nullable public var toLayer: MapEnd?
  /// Of `logits` the two ids whose difference is meant.
  @Nullable public var logits: [Int]?
  /// The input tokens.
  public var fromToken = TokenList.last
  /// The output tokens.
  public var toToken = TokenList.last
  /// Tokens at the beginning that `all` leaves out.
  public var skip = 0
  /// Whether one input is added at every source token.
  public var tied = false
  /// What becomes of several output tokens.
  public var reduce = JacobianMap.Reduction.none
  /// Which part of the one block.
  public var site = JacobianSite.block
  /// The attention head, from 0.
  @Nullable public var head: Int?
  /// The expert, from 0.
  @Nullable public var expert: Int?
  /// What is held constant besides other tokens.
  public var linearization = LinearizationKind.full
  /// The way through several blocks.
  public var path = JacobianMap.Path.all
  /// Whether the identity stays in maps from which it is subtracted otherwise.
  public var identity = IdentityMode.subtract
  /// Whether the maps of all prompts are averaged.
  public var average = false

  /// The defaults.
  public init() {}
}

/// How many triplets are found, and by which method.
public struct MapSolution: Codable, Sendable, Equatable {
  /// Triplets of each map, K; nil for 10, or as many as the smallest map has.
  @Nullable public var top: Int?
  /// Which solver.
  public var solver = SolverKind.auto
  /// Residual norms are held to tolerance · σ₁.
  public var tolerance = 1e-5
  /// In which precision states, linearizations and products are computed.
  public var precision = PrecisionMode.auto
  /// What is proven of triplets that were not found.
  public var certify = CertifyMode.auto

  /// The defaults.
  public init() {}
}

/// What becomes of the identity in a map from some tokens to the same tokens between two boundaries.
public enum IdentityMode: String, Sendable, CaseIterable, Codable {
  /// It is subtracted, so that one block gives the residual Jacobian.
  case subtract
  /// It stays.
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

  /// As it is written.
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

  /// The boundary, `"final"` or `"logits"`.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .layer(let layer): try container.encode(layer)
    case .final, .logits: try container.encode(text)
    }
  }
}
