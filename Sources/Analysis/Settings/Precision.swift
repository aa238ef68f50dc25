import LinearAlgebra

/// In which precision a run computes.
public enum PrecisionMode: String, Sendable, CaseIterable, Codable {
  /// Single; what rounding keeps from the tolerance is solved further with products in double precision.
  case auto
  /// Single throughout.
  case single
  /// Double throughout: states, linearizations and products.
  case double

  /// What residual norms of a run are measured against.
  var residualsAgainst: String {
    switch self {
    case .auto:
      "the operator as evaluated in the precision beside them, linearised at a point rounded to single precision"
    case .single:
      "the operator as evaluated in single precision, linearised at a point rounded to single precision"
    case .double:
      "the operator as evaluated in double precision, linearised at a point in double precision"
    }
  }
}

extension KeyedDecodingContainer {
  /// Records of earlier versions know single precision only.
  func decode(_ type: PrecisionMode.Type, forKey key: Key) throws -> PrecisionMode {
    try decodeIfPresent(type, forKey: key) ?? .single
  }
}

/// The precision of an operator's products.
public enum ProductPrecision: String, Sendable, CaseIterable, Codable {
  /// 24 bits.
  case single
  /// 53 bits.
  case double
}

/// How far the operators that were applied at a block are from those that are meant, measured on a sample: relative to σ₁.
struct MeasuredNoise: Codable, Sendable, Equatable {
  /// Of products in single precision at the states of the single-precision pass; nil where there were none, or where the
  /// sample could not be followed.
  var single: OperatorNoise?
  /// Of products in double precision, likewise.
  var double: OperatorNoise?

  /// The Jacobian that was measured, counted within the group; nil if it was one of the beginning of a prompt.
  var sample: Int?

  /// What is taken of another Jacobian than the sample's, in bounds that hold for the worst: up to 5 times the sample's noise
  /// with its own factor was seen, on trained models.
  static let margin = 6.0

  /// Of one Jacobian's products, `margin` times the sample's unless it is the sample.
  func of(_ jacobian: Int, _ precision: ProductPrecision, margin: Double) -> OperatorNoise? {
    let measured = precision == .single ? single : double
    return jacobian == sample ? measured : measured?.scaled(by: margin)
  }
}
