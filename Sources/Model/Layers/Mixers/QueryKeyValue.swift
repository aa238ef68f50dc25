import Autodiff
import LinearAlgebra

/// The projections to queries, keys and values.
public enum QueryKeyValue: Sendable {
  /// Three matrices.
  case separate(query: LinearWeights, key: LinearWeights, value: LinearWeights)
  /// One matrix for all three, with the indices of each among its outputs.
  case fused(LinearWeights, query: [Int], key: [Int], value: [Int])

  /// A fused matrix with all queries before all keys before all values; keys have as many outputs as queries unless
  /// given.
  public static func stacked(
    _ weights: LinearWeights, width: Int, keys: Int? = nil
  ) -> QueryKeyValue {
    let keys = keys ?? width
    return .fused(
      weights, query: Array(0..<width), key: Array(width..<width + keys),
      value: Array(width + keys..<width + 2 * keys))
  }

  /// The same matrix as three views of it.
  public static func parts(
    of fused: LinearWeights, queries: Int, keys: Int
  ) -> QueryKeyValue {
    .separate(
      query: fused.outputs(0..<queries), key: fused.outputs(queries..<queries + keys),
      value: fused.outputs(queries + keys..<queries + 2 * keys))
  }

  /// A matrix fused by groups of heads: a group's queries, then its key, then its value. GGUF files stack such
  /// matrices.
  public static func grouped(
    _ weights: LinearWeights, heads: Int, keyValueHeads: Int, headDimension: Int,
    in format: ModelFile.Format
  ) -> QueryKeyValue {
    if format == .gguf {
      return stacked(weights, width: heads * headDimension, keys: keyValueHeads * headDimension)
    }
    let queries = heads / keyValueHeads
    let pick = { (part: Range<Int>) in
      (0..<keyValueHeads).flatMap { group in
        part.flatMap { head in
          let start = (group * (queries + 2) + head) * headDimension
          return start..<start + headDimension
        }
      }
    }
    return .fused(
      weights, query: pick(0..<queries), key: pick(queries..<queries + 1),
      value: pick(queries + 1..<queries + 2))
  }

  /// The projections to some features of the queries, of the keys and of the values; nil if they cannot be divided.
  func part(query: Range<Int>, key: Range<Int>, value: Range<Int>) -> QueryKeyValue? {
    switch self {
    case .separate(let q, let k, let v):
      guard [q, k, v].allSatisfy({ $0.outputUnit == 1 }) else { return nil }
      return .separate(query: q.outputs(query), key: k.outputs(key), value: v.outputs(value))
    case .fused(let weights, let q, let k, let v):
      guard weights.outputUnit == 1 else { return nil }
      let lists = [Array(q[query]), Array(k[key]), Array(v[value])]
      if let parts = weights.views(of: lists) {
        return .separate(query: parts[0], key: parts[1], value: parts[2])
      }
      let (view, places) = weights.view(covering: lists)
      return .fused(view, query: places[0], key: places[1], value: places[2])
    }
  }

  /// The projections without the bias of the keys, and that bias.
  var withoutKeyBias: (QueryKeyValue, bias: [Float]?) {
    switch self {
    case .separate(let query, var key, let value):
      let bias = key.bias
      key.bias = nil
      return (.separate(query: query, key: key, value: value), bias)
    case .fused(var weights, let query, let key, let value):
      guard let all = weights.bias else { return (self, nil) }
      for i in key { weights.bias![i] = 0 }
      return (.fused(weights, query: query, key: key, value: value), key.map { all[$0] })
    }
  }

  /// The queries of the target rows, and the keys and values of the source rows.
  public func callAsFunction<S: RealScalar>(
    _ h: ResidualStream<S>
  ) -> (query: Variable<S>, key: Variable<S>, value: Variable<S>) {
    switch self {
    case .separate(let query, let key, let value):
      return (query(h.target), key(h.source), value(h.source))
    case .fused(let weights, let query, let key, let value):
      let all = h.map { weights($0) }
      return (
        all.target.gather(columns: query), all.source.gather(columns: key),
        all.source.gather(columns: value)
      )
    }
  }
}
