import Autodiff
import Checkpoint
import Files

extension WeightReader {
  /// Reads the rates A = −exp(A_log) of a recurrence; GGUF files store A.
  func rates(_ name: String, shape: [Int]) throws -> [Double] {
    try numbers(name, shape: shape).map { isGGUF ? Double($0) : -Double.exp(Double($0)) }
  }

  /// Reads a convolution that is separate for every feature, with a kernel stored as (features, 1, width).
  func convolution(
    _ name: String, features: Int, width: Int, bias: Bool
  ) throws -> ConvolutionWeights {
    ConvolutionWeights(
      width: width, kernel: try numbers("\(name).weight", shape: [features, 1, width]),
      bias: bias ? try vector("\(name).bias", count: features) : nil)
  }

  /// Reads a state space under the names of Mamba 2: `in_proj` to z, x, B, C and Δ, one after another, `conv1d`,
  /// `A_log`, `dt_bias`, `D`, `norm` and `out_proj`.
  func stateSpace(
    _ name: String, _ s: StateSpaceSettings, width: Int, activation: Activation
  ) throws -> StateSpaceWeights {
    let reader = scoped(name + ".")
    let (features, keys) = (s.heads * s.valueDimension, s.groups * s.keyDimension)
    let mixed = features + 2 * keys
    let all = try reader.linear(
      "in_proj", outputs: features + mixed + s.heads, inputs: width, bias: s.inputBias)
    return StateSpaceWeights(
      recurrence: RecurrenceSettings(
        heads: s.heads, groups: s.groups, keyDimension: s.keyDimension,
        valueDimension: s.valueDimension, rates: try reader.rates("A_log", shape: [s.heads])),
      gate: all.outputs(0..<features), input: all.outputs(features..<features + mixed),
      step: all.outputs(features + mixed..<features + mixed + s.heads),
      convolution: try reader.convolution(
        "conv1d", features: mixed, width: s.width, bias: s.convolutionBias),
      activation: activation, stepBias: try reader.vector("dt_bias", count: s.heads),
      stepLimits: s.stepLimits, skip: try reader.vector("D", count: s.heads),
      norm: try s.normEpsilon.map {
        GroupNormWeights(
          groups: s.groups,
          gain: try reader.numbers(
            "norm.weight", shape: isGGUF ? [s.groups, features / s.groups] : [features]),
          epsilon: $0)
      }, normsFirst: s.normsFirst,
      output: try reader.linear(
        "out_proj", outputs: width, inputs: features, bias: s.outputBias))
  }
}

/// The sizes of a state space in Mamba 2 and in the families with its mixer.
struct StateSpaceSettings {
  var heads, groups: Int
  /// The number of features of B and C, and of a head's x.
  var keyDimension, valueDimension: Int
  /// The number of tokens under the convolution's kernel.
  var width: Int
  var convolutionBias = true
  var inputBias = false
  var outputBias = false
  var stepLimits = 0...Double.infinity
  /// The ε of the norm of each group; nil without a norm.
  var normEpsilon: Double?
  var normsFirst = false

  /// The number of features of x in all heads.
  var features: Int { heads * valueDimension }

  /// Throws `ModelError.badKey` if the groups do not divide the heads, or a size exceeds that of any model.
  func check(_ c: Configuration, groups key: String, heads: String) throws(ModelError) {
    try c.check(
      self.heads % groups == 0, key,
      "is \(groups), which does not divide the \(self.heads) heads of the state space")
    try c.checkFeatures(heads, self.heads, valueDimension)
    try c.checkFeatures(key, groups, keyDimension)
  }
}

extension Configuration {
  /// Throws `ModelError.badKey` if the features of this many heads of a size exceed those of any model.
  func checkFeatures(_ key: String, _ heads: Int, _ size: Int) throws(ModelError) {
    let (product, overflow) = heads.multipliedReportingOverflow(by: size)
    try check(!overflow && product <= 1 << 28, key, "makes more than 2²⁸ features of all heads")
  }

  /// The limits of steps: an array of two numbers, of which the second may be infinite, in either spelling of
  /// infinity.
  func stepLimits(_ keys: String...) throws(ModelError) -> ClosedRange<Double> {
    guard let (key, value) = value(keys) else { return 0...Double.infinity }
    let numbers = (value.array ?? []).compactMap { number in
      number.double ?? (number.object?["__float__"]?.string == "Infinity" ? .infinity : nil)
    }
    guard numbers.count == 2, numbers[0].isFinite, numbers[0] <= numbers[1] else {
      throw .badKey(
        file: file, key: spelled(key), reason: "must be an array of two numbers, ascending")
    }
    return numbers[0]...numbers[1]
  }

  /// An array of `count` finite numbers; ones if the key is absent.
  func factors(_ key: String, count: Int) throws(ModelError) -> [Double] {
    guard value([key]) != nil else { return Array(repeating: 1, count: count) }
    let values = try numbers(key)
    try check(values.count == count, key, "has \(values.count) entries instead of \(count)")
    return values
  }
}
