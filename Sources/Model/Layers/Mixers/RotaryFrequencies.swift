import Checkpoint
import Foundation

/// The frequencies of a rotary embedding, θ^(−2i/dim), scaled as the configuration says.
public struct RotaryFrequencies: Sendable {
  /// The method that extends a model to contexts longer than those it was trained with.
  public enum Scaling: Sendable {
    /// Plain frequencies.
    case none
    /// All positions divided by a factor. Chen et al., arXiv 2306.15595.
    case linear(factor: Double)
    /// θ raised once the sequence is longer than `trained` (dynamic NTK).
    case dynamic(factor: Double, trained: Int)
    /// Long wavelengths divided by a factor, short ones unchanged, those in between blended, as in Llama 3.1.
    case llama3(factor: Double, low: Double, high: Double, trained: Int)
    /// YaRN. Peng et al., arXiv 2309.00071.
    case yarn(
      factor: Double, fast: Double, slow: Double, trained: Int, scale: Double, truncate: Bool)
    /// Frequencies divided one by one, by different numbers once the sequence is longer than `trained`. Ding et al.,
    /// arXiv 2402.13753.
    case longrope(short: [Double], long: [Double], trained: Int, scale: Double)
    /// The first pairs at the frequencies of a fully rotated head, divided by a factor; the other pairs do not
    /// rotate.
    case proportional(factor: Double, pairs: Int)
  }

  /// The ways in which a family's reading of the configuration differs from Llama's.
  public struct Scheme: Sendable {
    /// The names of scaling by longrope.
    public var longropeNames: [String]
    /// `original_max_position_embeddings` for files that do not have it beside the parameters; nil to look among
    /// them.
    public var original: Int?
    /// Whether an odd number of rotated features is rounded up, since they rotate in pairs; otherwise it is refused.
    public var roundsUp: Bool
    /// The kind of layers whose rotation this is, if `rope_parameters` has one object per kind.
    public var kind: String?
    /// The older key of θ.
    public var thetaKey: String
    /// Whether the older `rope_scaling` applies to these layers as well.
    public var isScaled: Bool
    /// The scaling of a file without parameters.
    public var absent: Scaling
    /// Whether the ends of YaRN's ramp are rounded if the file does not say.
    public var truncates: Bool
    /// Keys among the parameters that the family reads itself.
    public var understood: [String]
    /// Whether `short_mscale` and `long_mscale` in the file are longrope's factors of cos and sin. If so, the
    /// frequency factors of short prompts are also used for long ones, as in the reference implementation.
    public var hasMagnitudes: Bool

    /// Creates a scheme from its properties.
    public init(
      longropeNames: [String] = ["longrope"], original: Int? = nil, roundsUp: Bool = false,
      kind: String? = nil, thetaKey: String = "rope_theta", isScaled: Bool = true,
      absent: Scaling = .none, truncates: Bool = true, understood: [String] = [],
      hasMagnitudes: Bool = false
    ) {
      (self.longropeNames, self.original, self.roundsUp) = (longropeNames, original, roundsUp)
      (self.kind, self.thetaKey, self.isScaled) = (kind, thetaKey, isScaled)
      (self.absent, self.truncates, self.understood) = (absent, truncates, understood)
      self.hasMagnitudes = hasMagnitudes
    }

    /// The parameters of these layers, or those common to all.
    fileprivate func parameters(_ c: Configuration) throws(ModelError) -> Configuration? {
      guard let kind else { return try c.optionalObject("rope_scaling", "rope_parameters") }
      let older = try isScaled ? c.optionalObject("rope_scaling") : nil
      guard let all = try c.optionalObject("rope_parameters") else { return older }
      try c.check(
        older == nil, "rope_scaling", "conflicts with rope_parameters: remove one of them")
      let own = try all.optionalObject(kind)
      let isFlat = all.mentions("rope_type") || all.mentions("rope_theta")
      try all.check(
        own != nil || !isFlat, kind, "is missing: rope_parameters are given per kind of layer")
      return own
    }
  }

  /// dim, the number of features of a head that the exponents refer to. Where a family allows an odd number, one more
  /// rotates.
  public let dimension: Int
  /// The base θ.
  public let theta: Double
  /// The method for contexts longer than the trained ones.
  public let scaling: Scaling
  /// Whether the angles decrease with the position.
  public var isReversed = false

  /// Reads `rope_parameters`, or the older `rope_scaling` and `rope_theta`. Throws `ModelError` for a scaling type
  /// that is not known here.
  ///
  /// `dimension` is the size of a head. All of it rotates or, if there is a `defaultShare`, the share given by the
  /// file, by default that one.
  public init(
    _ configuration: Configuration, dimension: Int, defaultShare: Double? = nil,
    defaultTheta: Double = 10_000, trained: Int, _ scheme: Scheme = Scheme()
  ) throws(ModelError) {
    let parameters = try scheme.parameters(configuration)
    let plain = try configuration.optionalNumber(scheme.thetaKey, "rotary_emb_base")
    theta = try parameters?.optionalNumber("rope_theta") ?? plain ?? defaultTheta
    try configuration.check(theta > 0, "rope_theta", "must be positive")
    var share = 1.0
    if let defaultShare {
      let key = "partial_rotary_factor"
      let plain = try configuration.optionalNumber(key, "rotary_pct", "rope_pct")
      share = try parameters?.optionalNumber(key) ?? plain ?? defaultShare
      try configuration.check(share > 0 && share <= 1, key, "must be above 0 and at most 1")
    }
    var rotated = Int(Double(dimension) * share)
    // GGUF gives the number of features instead.
    let key = "rope.dimension_count"
    if let count = try configuration.optionalSize(key) {
      try configuration.check(
        defaultShare == nil ? count == dimension : count <= dimension, key,
        "is neither the size of a head nor, in a family that rotates only a part, a part of it")
      try configuration.check(count % 2 == 0, key, "is odd, but features rotate in pairs")
      rotated = count
    }
    self.dimension = rotated
    try configuration.check(
      self.dimension > 0 && 2 * ((self.dimension + 1) / 2) <= dimension
        && (scheme.roundsUp || self.dimension % 2 == 0), "head_dim",
      "gives \(self.dimension) rotated features, which do not pair up")
    guard let parameters else {
      scaling = scheme.absent
      return
    }
    let beside = try configuration.optionalSize("original_max_position_embeddings")
    let within = try parameters.optionalSize("original_max_position_embeddings")
    let original = beside ?? scheme.original ?? within ?? trained
    switch try parameters.text("rope_type", "type", default: "default") {
    // Positions in time, height and width coincide for text.
    case "default", "none", "mrope": scaling = .none
    case "linear": scaling = .linear(factor: try parameters.positive("factor"))
    case "dynamic":
      scaling = .dynamic(factor: try parameters.positive("factor"), trained: trained)
    case "llama3":
      let (low, high) = (
        try parameters.positive("low_freq_factor"), try parameters.positive("high_freq_factor")
      )
      // Wavelengths between the bounds are blended according to their distance from them.
      try parameters.check(high >= low, "high_freq_factor", "is less than low_freq_factor")
      scaling = .llama3(
        factor: try parameters.positive("factor"), low: low, high: high, trained: original)
    case let type where scheme.longropeNames.contains(type):
      scaling = try Self.longrope(
        parameters, pairs: (self.dimension + 1) / 2, trained: trained, original: original,
        hasMagnitudes: scheme.hasMagnitudes)
    case "yarn":
      scaling = try Self.yarn(
        parameters, trained: trained, original: original, scheme)
    case "proportional" where scheme.kind != nil:
      let key = "partial_rotary_factor"
      let share = try parameters.number(key, default: 1)
      try parameters.check((0...1).contains(share), key, "must be between 0 and 1")
      scaling = .proportional(
        factor: try parameters.positive("factor", default: 1),
        pairs: Int(share * Double(rotated) / 2))
    case let type:
      throw .unsupportedKey(
        file: configuration.file, key: "rope_type", value: "\"\(type)\"",
        reason: "supported are default, linear, dynamic, llama3, yarn and longrope")
    }
    for key in scheme.understood { parameters.understand(key) }
    try parameters.refuseUnread()
  }

  private static func yarn(
    _ parameters: Configuration, trained: Int, original: Int, _ scheme: Scheme
  ) throws(ModelError) -> Scaling {
    let factor = try parameters.positive("factor", default: Double(trained) / Double(original))
    let magnify = { (m: Double) in factor <= 1 ? 1 : 0.1 * m * log(factor) + 1 }
    let m = try parameters.optionalNumber("mscale")
    let all = try parameters.optionalNumber("mscale_all_dim")
    var scale = magnify(1)
    if let m, let all, m != 0, all != 0 { scale = magnify(m) / magnify(all) }
    return .yarn(
      factor: factor, fast: try parameters.positive("beta_fast", default: 32),
      slow: try parameters.positive("beta_slow", default: 1), trained: original,
      scale: try parameters.optionalNumber("attention_factor") ?? scale,
      truncate: try parameters.flag("truncate", default: scheme.truncates))
  }

  private static func longrope(
    _ parameters: Configuration, pairs: Int, trained: Int, original: Int, hasMagnitudes: Bool
  ) throws(ModelError) -> Scaling {
    func factors(_ key: String) throws(ModelError) -> [Double] {
      let factors = try parameters.numbers(key)
      try parameters.check(
        factors.count == pairs && factors.allSatisfy { $0 > 0 }, key,
        "must be \(pairs) positive numbers, one per pair of rotated features")
      return factors
    }
    let factor = try parameters.positive("factor", default: Double(trained) / Double(original))
    // The entropy of attention grows with the logarithm of the length.
    let scale = factor <= 1 ? 1 : (1 + log(factor) / log(Double(original))).squareRoot()
    let given = try parameters.optionalNumber("attention_factor")
    try parameters.check(
      given != nil || scale.isFinite, "original_max_position_embeddings", "must exceed 1")
    let (short, long) = (try factors("short_factor"), try factors("long_factor"))
    guard hasMagnitudes else {
      return .longrope(short: short, long: long, trained: original, scale: given ?? scale)
    }
    let magnitude = try parameters.number("short_mscale")
    try parameters.checkSupported(
      try parameters.number("long_mscale") == magnitude, "long_mscale",
      "it must be short_mscale, \(magnitude)")
    return .longrope(short: short, long: short, trained: original, scale: magnitude)
  }

  /// Frequencies with known parameters.
  public init(dimension: Int, theta: Double, scaling: Scaling) {
    self.dimension = dimension
    self.theta = theta
    self.scaling = scaling
  }

  /// Whether the scaling covers sequences of any length beyond the trained one.
  public var isUnlimited: Bool { if case .dynamic = scaling { true } else { false } }

  /// One frequency per pair for a sequence of `length` tokens, and the factor of cos and sin.
  public func frequencies(length: Int) -> (values: [Double], scale: Double) {
    let (values, scale) = forward(length: length)
    return (isReversed ? values.map { -$0 } : values, scale)
  }

  private func forward(length: Int) -> (values: [Double], scale: Double) {
    let half = (dimension + 1) / 2
    let plain = { (theta: Double) in
      (0..<half).map { pow(theta, -2 * Double($0) / Double(dimension)) }
    }
    switch scaling {
    case .none: return (plain(theta), 1)
    case .proportional(let factor, let pairs):
      return (plain(theta).enumerated().map { $0 < pairs ? $1 / factor : 0 }, 1)
    case .linear(let factor): return (plain(theta).map { $0 / factor }, 1)
    case .longrope(let short, let long, let trained, let scale):
      return (zip(plain(theta), length > trained ? long : short).map { $0 / $1 }, scale)
    case .dynamic(let factor, let trained):
      let longer = Double(max(length, trained)) / Double(trained)
      let exponent = Double(dimension) / Double(max(dimension - 2, 1))
      return (plain(theta * pow(factor * longer - (factor - 1), exponent)), 1)
    case .llama3(let factor, let low, let high, let trained):
      return (
        plain(theta).map { f in
          // The number of rotations over the trained context: few → stretched, many → unchanged.
          let rotations = Double(trained) * f / (2 * .pi)
          if rotations < low { return f / factor }
          if rotations > high || high == low { return f }
          let blend = (rotations - low) / (high - low)
          return (1 - blend) * f / factor + blend * f
        }, 1
      )
    case .yarn(let factor, let fast, let slow, let trained, let scale, let truncate):
      // The pair that makes r rotations over the trained context.
      let pair = { (r: Double) in
        Double(dimension) * log(Double(trained) / (r * 2 * .pi)) / (2 * log(theta))
      }
      var (first, last) = (pair(fast), pair(slow))
      if truncate { (first, last) = (first.rounded(.down), last.rounded(.up)) }
      first = max(first, 0)
      last = min(last, Double(dimension - 1))
      if first == last { last += 0.001 }
      let values = plain(theta).enumerated().map { i, f in
        let ramp = min(max((Double(i) - first) / (last - first), 0), 1)
        return f / factor * ramp + f * (1 - ramp)
      }
      return (values, scale)
    }
  }
}
