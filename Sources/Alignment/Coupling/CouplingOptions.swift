import RealModule

/// What is compared with the singular values: the entries of A, or their magnitudes.
///
/// They differ only for anti-aligned pairs: uⱼ = uᵢ, vⱼ = −vᵢ has misfit 2 signed and 0 absolute.
public enum CouplingSign: String, Sendable, Codable, CaseIterable {
  /// A* = A (Aubry et al., arXiv 2407.07810).
  case signed
  /// A* = |A| entrywise (the authors' released code). Never above `signed`; equal iff diag(A) ≥ 0.
  case absolute
}

/// The norm ‖(s₁ … s_K)‖_p that a misfit is divided by. The numerator is always in the Frobenius norm.
public enum CouplingNormalisation: Sendable, Hashable {
  /// p = 2, ‖S_K‖_F: the default.
  case frobenius
  /// p = 1, tr S_K. For a flat spectrum, scores then increase with K by themselves; see `NullLevel`.
  case trace
  /// Any other p ≥ 1.
  case p(Double)

  /// The exponent p.
  public var exponent: Double {
    switch self {
    case .frobenius: 2
    case .trace: 1
    case .p(let p): p
    }
  }

  /// ‖s‖_p of singular values s ≥ 0.
  public func norm(_ s: some Sequence<Double>) -> Double {
    // Scaled by the largest value, so that no power overflows or underflows.
    let scale = s.reduce(0, max)
    guard scale > 0, scale.isFinite else { return scale }
    return switch self {
    case .frobenius: scale * s.reduce(0) { $0 + ($1 / scale) * ($1 / scale) }.squareRoot()
    case .trace: scale * s.reduce(0) { $0 + $1 / scale }
    case .p(let p): scale * .pow(s.reduce(0) { $0 + .pow($1 / scale, p) }, 1 / p)
    }
  }
}

extension CouplingNormalisation: RawRepresentable, Codable, CaseIterable {
  /// The two named ones: `frobenius` and `trace`.
  public static let allCases: [CouplingNormalisation] = [.frobenius, .trace]

  /// Reads `frobenius`, `trace`, or `p=` and a number; nil unless that number is finite and at least 1.
  public init?(rawValue: String) {
    switch rawValue {
    case "frobenius": self = .frobenius
    case "trace": self = .trace
    default:
      guard rawValue.hasPrefix("p="), let p = Double(rawValue.dropFirst(2)), p >= 1, p.isFinite
      else { return nil }
      self = p == 1 ? .trace : p == 2 ? .frobenius : .p(p)
    }
  }

  /// The spelling used in options and files.
  public var rawValue: String {
    switch self {
    case .frobenius: "frobenius"
    case .trace: "trace"
    case .p(let p): "p=\(p)"
    }
  }
}

/// Which side of j's basis is combined with which side of Jᵢ.
public enum CouplingForm: String, Sendable, Codable, CaseIterable {
  /// A = Uⱼᵀ Jᵢ Vⱼ.
  case same
  /// B = Vⱼᵀ Jᵢ Uⱼ: left against right vectors. Its diagonal is a result like any other entry.
  case crossed
}

/// The forms to compute; each costs K products per pair.
public enum CouplingForms: String, Sendable, Codable, CaseIterable {
  /// Only A.
  case same
  /// Only B.
  case crossed
  /// Both A and B.
  case both

  /// The form shown in tables.
  public var shown: CouplingForm { self == .crossed ? .crossed : .same }

  /// The forms that are computed.
  public var computed: [CouplingForm] {
    switch self {
    case .same: [.same]
    case .crossed: [.crossed]
    case .both: [.same, .crossed]
    }
  }
}

/// A score computed from a misfit m.
public enum CouplingScore: String, Sendable, Codable, CaseIterable {
  /// m itself, where 0 means aligned. (A plot of −m shows its negative.)
  case misfit
  /// 1 − m, where 1 means aligned; it has no lower bound.
  case oneMinus = "one-minus"
  /// 1 − m².
  case oneMinusSquare = "one-minus-square"

  /// The score of a misfit.
  public func callAsFunction(_ misfit: Double) -> Double {
    switch self {
    case .misfit: misfit
    case .oneMinus: 1 - misfit
    case .oneMinusSquare: 1 - misfit * misfit
    }
  }

  /// The error of the score for an error of the misfit of at most `bound`.
  public func bound(misfit: Double, _ bound: Double) -> Double {
    self == .oneMinusSquare ? bound * (2 * misfit + bound) : bound
  }

  /// The error of the misfit for an error of the score of at most `bound`.
  func misfitBound(_ bound: Double, misfit: Double) -> Double {
    guard self == .oneMinusSquare else { return bound }
    // The b with b (2m + b) = bound.
    return bound / (misfit + (misfit * misfit + bound).squareRoot())
  }

  /// The misfit m ≥ 0 with this score.
  public func misfit(_ score: Double) -> Double {
    switch self {
    case .misfit: score
    case .oneMinus: 1 - score
    case .oneMinusSquare: max(0, 1 - score).squareRoot()
    }
  }
}

/// What represents the last block, which in a trained model also prepares the final norm.
public enum LastBlockMode: String, Sendable, Codable, CaseIterable {
  /// The residual Jacobian, as for every other block: F^L(X) − X, before the final norm.
  case residual
  /// Nothing: the last block is left out.
  case drop
  /// The Jacobian of final_norm(F^L(X)), minus the identity if input and output token are the same.
  case normed
}

/// Whether a mean over pairs includes the pairs of a Jacobian with itself.
public enum DiagonalMode: String, Sendable, Codable, CaseIterable {
  /// They are left out: their misfit is 0 by definition.
  case excluded
  /// They are included; over L blocks this adds (1 − mean)/L to the mean of a `one-minus` score.
  case included
}

/// The Jacobians that a table compares; J^l_{t₁t₂} is that of block l from input token t₁ to output token t₂.
public enum CouplingKind: String, Sendable, Codable, CaseIterable {
  /// One pair of tokens, all pairs of blocks (l, l′).
  case depth
  /// Fixed blocks l and l′, varying tokens: J^l_{tt} against J^{l′}_{t′t′}.
  case tokens = "self"
  /// A common input token: J^l_{t₁t₂} against J^{l′}_{t₁t₂′}.
  case contextInput = "context-input"
  /// A common output token: J^l_{t₁t₂} against J^{l′}_{t₁′t₂}.
  case contextOutput = "context-output"
}
