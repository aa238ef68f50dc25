import Autodiff
import LinearAlgebra

/// Mixers other than attention: convolutions, which reach a few tokens, and recurrences, which reach all later ones.
///
/// In groups of sources and targets, a convolution spreads the features of a source over several tokens. What is
/// computed from them has one row for each token that some source reaches and for each target, until a recurrence or
/// `atTargets` reduces it to one row per target.
extension AttentionContext {
  /// The convolution of x, features at the sources: at all tokens, or at those that a kernel of this width reaches.
  public func convolve(
    _ x: Variable<Scalar>, by convolution: CausalConvolution<Scalar>, reach width: Int? = nil
  ) -> Variable<Scalar> {
    defer { convolutions += 1 }
    switch rows {
    case .prompts(let prompts):
      for (p, rows) in prompts.enumerated() {
        caches[p].convolutions.append(TokenFeatures(x, rows: rows))
      }
      return sequenceConvolution(x, sequences: prompts, by: convolution)
    case .groups(let groups):
      return selectedConvolution(
        x, reaches: reaches(width ?? convolution.width),
        sequences: groups.map { $0.caches.convolutions[convolutions] }, by: convolution)
    }
  }

  /// Repeats x, features at the sources, as rows of the tokens that a kernel of this width reaches, without
  /// convolving.
  public func spread(_ x: Variable<Scalar>, reach width: Int) -> Variable<Scalar> {
    if case .groups = rows, reaches(width).allSatisfy({ $0.tokens == $0.sources }) {
      convolutions += 1
      return x
    }
    return convolve(x, by: .identity(features: x.columns), reach: width)
  }

  /// The rows of the targets among features at the tokens that a kernel of this width reaches.
  public func atTargets(_ x: Variable<Scalar>, reach width: Int) -> Variable<Scalar> {
    guard case .groups = rows else { return x }
    var start = 0
    let places = reaches(width).flatMap { reach in
      defer { start += reach.tokens.count }
      return reach.targetPlaces.map { start + $0 }
    }
    return places.count == x.rows ? x : x.rows(places)
  }

  /// The recurrence's output at the targets, for inputs at the tokens that a kernel of this width reaches.
  ///
  /// Queries, keys, steps and strengths are the weights that mix tokens: where those are held, only the values vary.
  public func recur(
    _ inputs: RecurrenceInputs<Scalar>, reach width: Int, settings: RecurrenceSettings
  ) -> Variable<Scalar> {
    defer { recurrences += 1 }
    switch rows {
    case .prompts(let prompts):
      let made = prompts.map { RecurrenceCache(inputs, rows: $0) }
      for (p, cache) in made.enumerated() { caches[p].recurrences.append(cache) }
      return sequenceRecurrence(made, settings)
    case .groups(let groups):
      let weights = RecurrenceInputs(
        queries: atTargets(inputs.queries.asMixingWeight, reach: width),
        keys: inputs.keys.asMixingWeight, values: inputs.values,
        steps: inputs.steps.asMixingWeight, strengths: inputs.strengths?.asMixingWeight)
      return selectedRecurrence(
        weights, reaches: reaches(width),
        caches: groups.map { $0.caches.recurrences[recurrences] }, settings)
    }
  }

  /// The tokens whose features vary after a kernel of this width, for every group.
  private func reaches(_ width: Int) -> [TokenReach] {
    guard case .groups(let groups) = rows else { return [] }
    return groups.map { TokenReach(sources: $0.sources, targets: $0.targets, width: width) }
  }
}
