/// How much is to be proven of the triplets that a solver did not find.
public enum CertifyMode: Sendable, Equatable {
  /// A proof that nothing is missing if it costs less than `autoShare` of the solve, else the bound.
  case auto
  /// Probing goes on until nothing above the last value asked for can have been missed, or its vectors are used up.
  case proof
  /// Probing ends once nothing above 1.1 times the last value asked for can have been missed.
  case bound
  /// No probing and no certificate: the answer is what the iteration converged to.
  case off
  /// A proof that is wrong with this probability at most.
  case probability(Double)

  /// How often a certificate may be wrong where nothing else is asked for.
  public static let defaultFailureProbability = 1e-6
  /// The part of a solve's products that `auto` spends on a proof.
  public static let autoShare = 0.35
  /// The bound, in units of the last value asked for.
  public static let boundFactor = 1.1

  /// δ, how often a certificate may be wrong.
  public var failureProbability: Double {
    if case .probability(let δ) = self { δ } else { Self.defaultFailureProbability }
  }

  /// Throws `SolverError.invalidSetting` for a probability that is none, or certain failure.
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

  /// What `init` reads.
  public var description: String {
    if case .probability(let δ) = self { return "\(δ)" }
    return Self.names.first { $0.1 == self }?.0 ?? ""
  }

  /// Reads what `encode` writes.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let mode = CertifyMode(text) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "\(text) is not a way to certify")
    }
    self = mode
  }

  /// Its description, a string.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
