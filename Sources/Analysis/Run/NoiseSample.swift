import Autodiff
import Lanczos
import LinearAlgebra
import Model

/// A prompt of a group that also goes through the blocks in another precision, to measure the noise of the solved Jacobians:
/// the rounding of their products, of their saved values, and of the point where they are linearized.
///
/// It is the shortest prompt of the group, or its first tokens, which then go through in both precisions. The choice depends
/// on the group alone. Its first Jacobian stands for all of the group's at a block. `Scalar` is the precision of the run.
struct NoiseSample<Scalar: RealScalar, Twin: RealScalar> {
  /// The Jacobian that stands for the others, counted within the group.
  let jacobian: Int
  let prompt: Int
  /// The input and output token in the sample.
  private let tokens: TokenSelection
  private var twin: HiddenStates<Twin>
  /// For a truncated prompt, its first tokens in the precision of the run.
  private var cut: HiddenStates<Scalar>?
  /// Whether the sample is the beginning of a prompt instead of a whole one.
  var isCut: Bool { cut != nil }

  /// The sample of a group of prompts: its position among them, and the part that is run.
  static func choice(
    _ inputs: [ModelInput], _ d: ModelDescription, limit: Int = NoiseComparison.tokens
  ) -> (prompt: Int, input: ModelInput, isCut: Bool) {
    let p = inputs.indices.min { d.tokenCount(of: inputs[$0]) < d.tokenCount(of: inputs[$1]) } ?? 0
    switch inputs[p] {
    case .tokens(let ids) where ids.count > limit:
      return (p, .tokens(Array(ids.prefix(limit))), true)
    case .decoder(let ids, let encoder) where ids.count > limit:
      return (p, .decoder(Array(ids.prefix(limit)), encoder: encoder), true)
    case let input: return (p, input, false)
    }
  }

  /// The sample at X⁰, with a limited number of tokens; nil if its states are not finite.
  init?(
    _ model: some Transformer, _ inputs: [ModelInput], _ group: PromptGroup,
    limit: Int = NoiseComparison.tokens
  ) throws {
    let choice = Self.choice(inputs, model.description, limit: limit)
    prompt = choice.prompt
    jacobian = group.jacobians(ofPrompt: choice.prompt).lowerBound
    let given = group.jacobians[jacobian].tokens
    let beyond = choice.isCut ? max(0, max(given.source, given.target) - (limit - 1)) : 0
    tokens = TokenSelection(
      source: max(0, given.source - beyond), target: max(0, given.target - beyond))
    var losses: [PromptLoss] = []
    twin = try HiddenStates(inputs: [choice.input], in: model, losing: &losses)
    if choice.isCut { cut = try HiddenStates(inputs: [choice.input], in: model, losing: &losses) }
    guard losses.isEmpty else { return nil }
  }

  /// Goes through the next block, or to it if it is the last one that is compared; nil if the states after it are not finite.
  mutating func advance(through model: some Transformer, isLast: Bool = false) -> Step? {
    var losses: [PromptLoss] = []
    let meant = isLast ? twin.point(before: model) : twin.advance(through: model, losing: &losses)
    let own =
      isLast ? cut?.point(before: model) : cut?.advance(through: model, losing: &losses)
    guard losses.isEmpty else { return nil }
    return Step(
      jacobian: jacobian, prompt: prompt, tokens: tokens, model: model, own: own, meant: meant)
  }

  /// A block that the sample has reached.
  struct Step {
    fileprivate let jacobian, prompt: Int
    fileprivate let tokens: TokenSelection
    fileprivate let model: any Transformer
    fileprivate let own: BlockPoint<Scalar>?
    fileprivate let meant: BlockPoint<Twin>

    /// The sample's place there, where the input in the group's pass is `point`.
    func place(beside point: BlockPoint<Scalar>) -> Place {
      Place(
        jacobian: jacobian, isCut: own != nil, model: model, own: own ?? point,
        prompt: own == nil ? prompt : 0, meant: meant, tokens: tokens)
    }
  }

  /// The point of the sample before a block.
  struct Place {
    /// The Jacobian that stands for the others, counted within the group.
    let jacobian: Int
    /// Whether the sample is the beginning of a prompt instead of a whole one.
    let isCut: Bool
    fileprivate let model: any Transformer
    fileprivate let own: BlockPoint<Scalar>
    fileprivate let prompt: Int
    fileprivate let meant: BlockPoint<Twin>
    fileprivate let tokens: TokenSelection
  }
}

extension NoiseSample.Place {
  /// What the sample shows about a block; nil if its products are not finite. `applied` is the Jacobian of the triplets `found`,
  /// whose tokens may differ from the sample's, and `products` those of its solve.
  func comparison(
    _ applied: any LinearOperator, _ found: SingularTriplets, _ products: TripletProducts?,
    _ resolved: ResolvedSettings, layer: Int
  ) -> NoiseComparison? {
    let normed = layer == resolved.normedLayer
    let twin = residualJacobian(
      model, at: meant, [(0, tokens)], site: resolved.site, normed: normed)
    var (applied, found, products) = (applied, found, products)
    if isCut {
      applied = residualJacobian(
        model, at: own, [(prompt, tokens)], site: resolved.site, normed: normed)
      // Approximate leading vectors of the sample's own Jacobian.
      let solve = TripletRefinement(tolerance: 0.1, steps: 3, seed: resolved.seed)
      guard let near = try? solve.refined(found, by: applied) else { return nil }
      (found, products) = (near, near.products)
    }
    // Without those of the solve, both are applied.
    guard
      let noise = try? products.map({
        try OperatorNoise(of: $0, against: twin, triplets: found, seed: resolved.seed)
      }) ?? OperatorNoise(of: applied, against: twin, triplets: found, seed: resolved.seed)
    else { return nil }
    return NoiseComparison(noise: noise) {
      // Rounding shrinks by the ratio of the two unit roundoffs.
      let rounding = noise.scaled(by: NoiseComparison.doubleShare)
      let precise = residualJacobian(
        model, at: own.converted(to: Twin.self, prompt: prompt, of: model), [(0, tokens)],
        site: resolved.site, normed: normed)
      guard
        let point = try? OperatorNoise(
          of: precise, against: twin, triplets: found, seed: resolved.seed)
      else { return nil }
      return OperatorNoise(
        products: point.products + rounding.products, entries: point.entries + rounding.entries)
    }
  }
}

/// What a sample shows about the Jacobians of a block.
struct NoiseComparison {
  /// The most tokens of a prompt that go through in two precisions.
  static let tokens = 64
  /// 2⁻²⁹, the rounding of double precision relative to single precision.
  static let doubleShare = 0x1p-29

  /// The difference between the two precisions.
  let noise: OperatorNoise
  /// What remains with products in the twin's precision at the run's point: the error of the point itself.
  let ofPoint: () -> OperatorNoise?
}

extension SingularTriplets {
  /// Whether rounding keeps the residual norms, measured or true, above the tolerance.
  func isRounded(_ noise: OperatorNoise?, tolerance: Double) -> Bool {
    if case .stopped(let stop) = report.outcome { return stop.reason == .rounding }
    guard let noise, let largest = singularValues.first, largest > 0 else { return false }
    let measured = (residualNorms.max() ?? 0) / largest
    let rounding = noise.products / OperatorNoise.safetyFactor
    // If rounding is the smaller part, it is not the reason.
    return rounding > 0.5 * tolerance && measured + rounding > tolerance
  }
}

extension OperatorNoise {
  /// The noise multiplied by a factor.
  func scaled(by factor: Double) -> OperatorNoise {
    OperatorNoise(products: factor * products, entries: factor * entries)
  }
}
