import Autodiff
import Lanczos
import LinearAlgebra
import Model

/// The prompt of a group that is followed through the blocks in another precision too, to tell how far the Jacobians that are
/// solved are from those that are meant: by rounding of their products, their saved values, and their point.
///
/// The shortest prompt of the group, or its first tokens, which then are followed in both precisions. Which one it is
/// depends on the group alone. Its first Jacobian stands for all of the group's at a block. `Scalar` is the precision of the
/// run.
struct NoiseSample<Scalar: RealScalar, Twin: RealScalar> {
  /// The Jacobian that stands for the others, counted within the group, and its prompt.
  let jacobian: Int
  let prompt: Int
  /// From which token to which, in the sample.
  private let tokens: TokenSelection
  private var twin: HiddenStates<Twin>
  /// Of a prompt that is cut its first tokens, in the precision of the run.
  private var cut: HiddenStates<Scalar>?
  /// Whether it is no prompt of the group, but the beginning of one.
  var isCut: Bool { cut != nil }

  /// What the sample of a group of prompts is: its position among them, and what is run of it.
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

  /// At X⁰, of so many tokens at most; nil if that is not finite.
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

  /// Goes through the next block, where the group stood at `point`; nil if the states are not finite after it.
  mutating func advance(
    through model: some Transformer, beside point: BlockPoint<Scalar>
  ) -> Place? {
    var losses: [PromptLoss] = []
    let meant = twin.advance(through: model, losing: &losses)
    let own = cut?.advance(through: model, losing: &losses)
    guard losses.isEmpty else { return nil }
    return Place(
      model: model, own: own ?? point, prompt: own == nil ? prompt : 0, isCut: own != nil,
      meant: meant, tokens: tokens)
  }

  /// Where the sample stands in front of a block.
  struct Place {
    fileprivate let model: any Transformer
    fileprivate let own: BlockPoint<Scalar>
    fileprivate let prompt: Int
    fileprivate let isCut: Bool
    fileprivate let meant: BlockPoint<Twin>
    fileprivate let tokens: TokenSelection
  }
}

extension NoiseSample.Place {
  /// What the sample tells of a block; nil where its products are not finite. `applied` is the Jacobian that the found triplets
  /// are of, of which the sample's may be that of other tokens.
  func comparison(
    _ applied: any LinearOperator, _ found: SingularTriplets, _ resolved: ResolvedSettings,
    layer: Int
  ) -> NoiseComparison? {
    let normed = layer == resolved.normedLayer
    let twin = residualJacobian(
      model, at: meant, [(0, tokens)], site: resolved.site, normed: normed)
    var (applied, found) = (applied, found)
    if isCut {
      applied = residualJacobian(
        model, at: own, [(prompt, tokens)], site: resolved.site, normed: normed)
      // Its own leading vectors, about.
      let solve = TripletRefinement(tolerance: 0.1, steps: 3, seed: resolved.seed)
      guard let near = try? solve.refined(found, by: applied) else { return nil }
      found = near
    }
    guard
      let noise = try? OperatorNoise(
        of: applied, against: twin, triplets: found, seed: resolved.seed)
    else { return nil }
    return NoiseComparison(noise: noise) {
      // Rounding is the smaller by as much as the unit of the last place.
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

/// What a sample tells of the Jacobians of a block.
struct NoiseComparison {
  /// The most tokens of a prompt that are followed in two precisions.
  static let tokens = 64
  /// 2⁻²⁹: the rounding of double precision beside that of single precision.
  static let doubleShare = 0x1p-29

  /// How far they are apart in both precisions.
  let noise: OperatorNoise
  /// What is left of that with products in the twin's precision at the run's point: the point's own error.
  let ofPoint: () -> OperatorNoise?
}

extension SingularTriplets {
  /// Whether rounding keeps residual norms above the tolerance: those that were measured, or those that are true.
  func isRounded(_ noise: OperatorNoise?, tolerance: Double) -> Bool {
    if case .stopped(let stop) = report.outcome { return stop.reason == .rounding }
    guard let noise, let largest = singularValues.first, largest > 0 else { return false }
    let measured = (residualNorms.max() ?? 0) / largest
    let rounding = noise.products / OperatorNoise.safetyFactor
    // Where rounding is the smaller part, it is not what keeps them.
    return rounding > 0.5 * tolerance && measured + rounding > tolerance
  }
}

extension OperatorNoise {
  /// That many times as much.
  func scaled(by factor: Double) -> OperatorNoise {
    OperatorNoise(products: factor * products, entries: factor * entries)
  }
}
