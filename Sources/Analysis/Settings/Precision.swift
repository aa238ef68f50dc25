import LinearAlgebra

/// The precision of a run's computations.
public enum PrecisionMode: String, Sendable, CaseIterable, Codable {
  /// Single; solves that rounding keeps from the tolerance are continued with products in double precision.
  case auto
  /// Single throughout.
  case single
  /// Double throughout: states, linearizations and products.
  case double

  /// The operator against which a run's residual norms are measured.
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
  /// Records of earlier versions know only single precision.
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

/// The noise of the operators applied at a block, measured on a sample, relative to σ₁.
struct MeasuredNoise: Codable, Sendable, Equatable {
  /// The noise of products in single precision at the states of the single-precision pass; nil if there were none, or if the
  /// sample could not be evaluated.
  var single: OperatorNoise?
  /// The noise of products in double precision, likewise.
  var double: OperatorNoise?

  /// The Jacobian that was measured, counted within the group; nil if it belongs to the beginning of a prompt.
  var sample: Int?

  /// The factor on the sample's noise in bounds for other Jacobians, which must hold for the worst one: up to 5 times the
  /// sample's noise, with its own factor, was seen on trained models.
  static let margin = 6.0

  /// The noise of one Jacobian's products: `margin` times the sample's, unless it is the sample.
  func of(_ jacobian: Int, _ precision: ProductPrecision, margin: Double) -> OperatorNoise? {
    let measured = precision == .single ? single : double
    return jacobian == sample ? measured : measured?.scaled(by: margin)
  }
}
