/// How much a solver is to prove about the triplets it did not find.
public enum CertifyMode: Sendable, Equatable {
  /// Prove that nothing is missing if that costs less than `autoShare` of the solve; otherwise give the bound.
  case auto
  /// Probe until no value above the last one requested can have been missed, or until the search space is full.
  case proof
  /// Probe until no value above `boundFactor` times the last one requested can have been missed.
  case bound
  /// No probing and no certificate: the answer is what the iteration converged to.
  case off
  /// A proof that is wrong with at most this probability.
  case probability(Double)

  /// The failure probability of a certificate when none is given.
  public static let defaultFailureProbability = 1e-6
  /// The share of a solve's products that `auto` may spend on a proof.
  public static let autoShare = 0.35
  /// The bound that `bound` and `auto` aim for, in units of the last value requested.
  public static let boundFactor = 1.1

  /// δ, the probability with which a certificate may be wrong.
  public var failureProbability: Double {
    if case .probability(let δ) = self { δ } else { Self.defaultFailureProbability }
  }

  /// Throws `SolverError.invalidSetting` unless the failure probability lies strictly between 0 and 1.
  public func check() throws(SolverError) {
    guard failureProbability > 0, failureProbability < 1 else {
      throw .invalidSetting(
        name: "certify", value: "\(failureProbability)",
        remedy: "choose a failure probability between 0 and 1")
    }
  }
}

extension CertifyMode: LosslessStringConvertible, Codable {
  private static let names: [(String, CertifyMode)] = [
    ("auto", .auto), ("proof", .proof), ("bound", .bound), ("off", .off),
  ]

  /// `auto`, `proof`, `bound`, `off`, or a failure probability between 0 and 1 like `1e-9`; nil for anything else.
  public init?(_ text: String) {
    if let named = Self.names.first(where: { $0.0 == text }) {
      self = named.1
    } else if let δ = Double(text), δ > 0, δ < 1 {
      self = .probability(δ)
    } else {
      return nil
    }
  }

  /// The text that `init(_:)` reads.
  public var description: String {
    if case .probability(let δ) = self { return "\(δ)" }
    return Self.names.first { $0.1 == self }?.0 ?? ""
  }

  /// Decodes the string written by `encode(to:)`; throws `DecodingError` for any other.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let mode = CertifyMode(text) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "\(text) is not a way to certify")
    }
    self = mode
  }

  /// Encodes the description as a string.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
