import Autodiff
import LinearAlgebra

/// Mixers that are not attention: convolutions over some tokens, and recurrences over all.
///
/// In a selection the features of a source token reach several tokens through a convolution; what is computed of them goes
/// on as a row for each of these, the target's last, until a recurrence or `atTargets` makes one row per Jacobian of them.
extension AttentionContext {
  /// x, features at the sources, convolved: at all tokens, or at those that a kernel of this width reaches.
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

  /// x, features at the sources, as they are, at the tokens that a kernel of this width reaches.
  public func spread(_ x: Variable<Scalar>, reach width: Int) -> Variable<Scalar> {
    convolve(x, by: .identity(features: x.columns), reach: width)
  }

  /// Of features at the tokens that a kernel of this width reaches, those at the targets.
  public func atTargets(_ x: Variable<Scalar>, reach width: Int) -> Variable<Scalar> {
    guard case .groups = rows else { return x }
    var end = 0
    return x.rows(
      reaches(width).map { reach in
        end += reach.tokens.count
        return end - 1
      })
  }

  /// The recurrence's output at the targets; the inputs are at the tokens that a kernel of this width reaches.
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
      var inputs = inputs
      inputs.queries = atTargets(inputs.queries, reach: width)
      return selectedRecurrence(
        inputs, reaches: reaches(width),
        caches: groups.map { $0.caches.recurrences[recurrences] }, settings)
    }
  }

  private func reaches(_ width: Int) -> [TokenReach] {
    zip(sourcePositions, targetPositions).map {
      TokenReach(source: $0, target: $1, width: width)
    }
  }
}
