import RealModule

/// Why a solve ended before every residual norm was within tolerance · σ₁, and what would help.
public struct Stop: Sendable, Equatable, CustomStringConvertible {
  /// The kinds of cause.
  public enum Reason: String, Sendable, Codable {
    /// The iteration used up the vectors or restarts it was allowed.
    case exhausted
    /// It converged as far as the rounding of the operator's products allows.
    case rounding
  }

  /// The kind of cause.
  public let reason: Reason
  /// The largest residual norm over σ₁ (or another `unit`), rounded up to two digits, so that it can serve as a
  /// tolerance; nil in records of earlier versions.
  public let residual: Double?
  /// What to do, in terms of the solver's settings.
  public let remedy: String
  /// The unit of residual norms, if it is not σ₁.
  public let unit: String?

  /// A stop of a solve whose largest residual norm was `residual` · σ₁, or times another `unit`.
  public init(_ reason: Reason, residual: Double, remedy: String, unit: String? = nil) {
    self.reason = reason
    self.residual = Self.roundedUp(residual)
    self.remedy = remedy
    self.unit = unit
  }

  /// What happened, without the remedy; nil in records of earlier versions, whose remedy says both.
  public var account: String? {
    residual.map {
      let size = "\($0) · \(unit ?? "σ₁")"
      return switch reason {
      case .exhausted: "the iteration reached its limit with residual norms at \(size)"
      case .rounding: "residual norms stay at \(size), which is rounding"
      }
    }
  }

  /// What happened and what to do.
  public var description: String { account.map { "\($0): \(remedy)" } ?? remedy }

  /// x rounded up to two significant digits.
  private static func roundedUp(_ x: Double) -> Double {
    guard x.isFinite, x > 0 else { return x }
    let exponent = Double.log10(x).rounded(.down) - 1
    let digits = (x / Double.pow(10, exponent)).rounded(.up)
    // Parsed rather than multiplied, to get 1.3e-05 and not 1.3000000000000001e-05.
    return Double("\(Int(digits))e\(Int(exponent))") ?? x
  }
}

extension Stop: Codable {
  private enum CodingKeys: CodingKey { case reason, residual, remedy, unit }

  /// Decodes what `encode(to:)` wrote.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    reason = try values.decodeIfPresent(Reason.self, forKey: .reason) ?? .exhausted
    residual = try values.decodeIfPresent(Double.self, forKey: .residual)
    remedy = try values.decode(String.self, forKey: .remedy)
    unit = try values.decodeIfPresent(String.self, forKey: .unit)
  }
}

extension ConvergenceReport.Outcome {
  private enum CodingKeys: CodingKey { case converged, stopped }

  /// Decodes what `encode(to:)` wrote, or earlier versions, which had a remedy and no reason.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    guard values.contains(.stopped) else {
      self = .converged
      return
    }
    self = .stopped(try values.decode(Stop.self, forKey: .stopped))
  }

  /// Encodes `{"converged": {}}` or `{"stopped": …}`.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    switch self {
    case .converged: try values.encode([String: String](), forKey: .converged)
    case .stopped(let stop): try values.encode(stop, forKey: .stopped)
    }
  }
}
