import Autodiff
import LinearAlgebra

extension AttentionWeights {
  /// The member's query heads, with the key-value heads that they read; other members may read these too.
  ///
  /// A norm over all heads needs all queries or keys, so each member computes them before it takes its own.
  public func part(_ slice: Slice) -> (any Mixer)? {
    let values = valueDimension ?? headDimension
    let (own, isFirst) = slice.share(
      of: heads, unit: leastCommonMultiple(values, output.inputUnit) / values)
    if own.isEmpty { return EmptyPart() }
    let group = heads / keyValueHeads
    let keys = own.lowerBound / group..<(own.upperBound - 1) / group + 1
    let query = HeadPart(queryNorm, own, of: heads, size: headDimension)
    let key = HeadPart(keyNorm, keys, of: keyValueHeads, size: headDimension)
    let value = HeadPart(valueNorm, keys, of: keyValueHeads, size: values)
    // Rotations and gates go by heads, before a norm could take the member's own.
    guard !(rotatesFirst && (query.isWhole || key.isWhole)), !(isGated && query.isWhole) else {
      return nil
    }
    let width = isGated ? 2 : 1
    guard
      let projection = projection.part(
        query: query.features.lowerBound * width..<query.features.upperBound * width,
        key: key.features, value: value.features)
    else { return nil }
    var part = self
    part.projection = projection
    (part.queryNorm, part.keyNorm, part.valueNorm) = (query.norm, key.norm, value.norm)
    part.output = output.inputs(
      own.lowerBound * values..<own.upperBound * values, keepsBias: isFirst)
    (part.heads, part.keyValueHeads) = (own.count, keys.count)
    (part.firstHead, part.groupSize) = (own.lowerBound, group)
    part.sinks = sinks.map { Array($0[own]) }
    return part
  }
}

/// The features of some heads that a member projects to, and the norm that follows.
private struct HeadPart {
  /// Whether all heads are needed for the norm.
  let isWhole: Bool
  let features: Range<Int>
  let norm: (any NormWeights)?

  init(_ whole: (any NormWeights)?, _ heads: Range<Int>, of count: Int, size: Int) {
    let own = heads.lowerBound * size..<heads.upperBound * size
    let alone = whole?.heads(heads, size: size)
    isWhole = whole != nil && alone == nil
    features = isWhole ? 0..<count * size : own
    norm = isWhole ? whole.map { PartOfNorm(whole: $0, features: own) } : alone
  }
}

/// Some features after a norm of all.
private struct PartOfNorm: NormWeights {
  let whole: any NormWeights
  let features: Range<Int>

  func callAsFunction<S: RealScalar>(_ x: Variable<S>) -> Variable<S> { whole(x).columns(features) }
}

/// The smallest number that both divide.
private func leastCommonMultiple(_ a: Int, _ b: Int) -> Int {
  var (x, y) = (a, b)
  while y != 0 { (x, y) = (y, x % y) }
  return a / x * b
}

extension LinearWeights {
  /// A view of each list of outputs, if every list is consecutive.
  func views(of lists: [[Int]]) -> [LinearWeights]? {
    let ranges = lists.map { $0[0]..<$0[0] + $0.count }
    guard zip(lists, ranges).allSatisfy({ $0.elementsEqual($1) }) else { return nil }
    return ranges.map(outputs)
  }

  /// The smallest view that contains all lists of outputs, and their places in it.
  func view(covering lists: [[Int]]) -> (LinearWeights, places: [[Int]]) {
    let all = lists.joined()
    let (first, last) = (all.min() ?? 0, all.max() ?? -1)
    return (outputs(first..<last + 1), lists.map { $0.map { $0 - first } })
  }
}
