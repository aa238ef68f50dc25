import Weights
import LinearAlgebra

/// The settings of a soft-max attention: heads and their sizes, scale, and what a query can see.
///
/// Query heads read key-value heads in groups of equal size (grouped-query attention, Ainslie et al., arXiv 2305.13245).
/// The heads may be some consecutive ones of a larger attention, with the key-value heads that they read. A head's sink is a logit that joins the soft-max but has no value: pᵢ = exp(sᵢ) / (Σⱼ exp(sⱼ) +
/// exp(sink)) (Xiao et al., arXiv 2309.17453; gpt-oss learns it).
public struct AttentionSettings: Sendable {
  /// The number of query heads.
  public var heads: Int
  /// The number of key-value heads, a divisor of `heads` unless they are those of a part.
  public var keyValueHeads: Int
  /// The number of query heads that read one key-value head.
  public var groupSize: Int
  /// The number of the first query head in the whole attention; 0 unless these are a part of it.
  public var firstHead: Int
  /// The number of features of a head's queries and keys.
  public var headDimension: Int
  /// The number of features of a head's values.
  public var valueDimension: Int
  /// The factor of the scores, usually headDimension^(−½).
  public var scale: Double
  /// The c of the soft cap c · tanh(score / c); nil for no cap.
  public var softCap: Double?
  /// The range of positions that a query sees, given its position and the length of the sequence.
  public var visible: @Sendable (_ query: Int, _ count: Int) -> Range<Int>
  /// A bias added to each score, by head of the whole attention, query position and key position; nil for none.
  public var bias: (@Sendable (_ head: Int, _ query: Int, _ key: Int) -> Double)?
  /// The logit of each head's sink; nil for no sinks.
  public var sinks: [Double]?

  /// Creates settings; without `valueDimension`, values have as many features as keys; without `visible`, every token
  /// sees itself and all before it. `groupSize` and `firstHead` are those of a part of the heads.
  public init(
    heads: Int, keyValueHeads: Int, groupSize: Int? = nil, firstHead: Int = 0, headDimension: Int,
    valueDimension: Int? = nil, scale: Double,
    softCap: Double? = nil,
    visible: @escaping @Sendable (_ query: Int, _ count: Int) -> Range<Int> = { q, _ in 0..<q + 1 },
    bias: (@Sendable (_ head: Int, _ query: Int, _ key: Int) -> Double)? = nil,
    sinks: [Double]? = nil
  ) {
    precondition(
      groupSize != nil || heads % keyValueHeads == 0, "heads must be a multiple of keyValueHeads")
    precondition(sinks.map { $0.count == heads } ?? true, "one sink per head")
    self.heads = heads
    self.keyValueHeads = keyValueHeads
    self.groupSize = groupSize ?? heads / keyValueHeads
    self.firstHead = firstHead
    self.headDimension = headDimension
    self.valueDimension = valueDimension ?? headDimension
    self.scale = scale
    self.softCap = softCap
    self.visible = visible
    self.bias = bias
    self.sinks = sinks
  }

  /// Whether adding a constant to all scores of a query leaves the result unchanged.
  public var seesDifferencesOnly: Bool { softCap == nil && sinks == nil }

  /// The key-value head that query head h reads.
  func group(of h: Int) -> Int { (firstHead + h) / groupSize - firstHead / groupSize }

  /// The query heads that read a key-value head.
  func heads(of group: Int) -> Range<Int> {
    let start = (firstHead / groupSize + group) * groupSize - firstHead
    return max(0, start)..<min(heads, start + groupSize)
  }

  /// The score after scale, cap and bias, and its derivative with respect to the product q · k.
  func score(_ product: Double, head: Int, query: Int, key: Int) -> (Double, slope: Double) {
    var (s, slope) = (product * scale, scale)
    if let softCap {
      let t = Double.tanh(s / softCap)
      (s, slope) = (softCap * t, slope * (1 - t * t))
    }
    if let bias { s += bias(firstHead + head, query, key) }
    return (s, slope)
  }
}

/// One row of a selected attention: a query at `target`, and the keys and values of its sequence, some of them
/// active.
public struct AttentionRow<Scalar: RealScalar> {
  /// The keys and values of all tokens.
  public let cache: KeyValueCache<Scalar>
  /// The tokens whose keys and values carry tangents.
  public let sources: ActiveTokens
  /// The token of the query.
  public let target: Int

  /// Creates the row of one query.
  public init(cache: KeyValueCache<Scalar>, sources: ActiveTokens, target: Int) {
    self.cache = cache
    self.sources = sources
    self.target = target
  }
}

/// Attention of every token of some sequences, evaluated only: (tokens, heads · valueDimension), a constant. Vaswani
/// et al., arXiv 1706.03762.
///
/// The rows of `queries`, which are constants as well, are the tokens of the sequences one after another, each
/// sequence with its own cache. `counts` gives the number of queries per sequence, for sequences that attend to the
/// keys and values of another. Cost: O(heads · tokens² · headDimension) per sequence; memory for the scores of a few
/// queries at a time.
@_specialize(where Scalar == Float)
@_specialize(where Scalar == Double)
public func sequenceAttention<Scalar: RealScalar>(
  queries: Variable<Scalar>, counts: [Int]? = nil, caches: [KeyValueCache<Scalar>],
  settings: AttentionSettings
) -> Variable<Scalar> {
  let (d, e, rows) = (settings.headDimension, settings.valueDimension, queries.rows)
  let counts = counts ?? caches.map(\.count)
  precondition(!queries.isActive, "a whole sequence's attention is evaluated only: `detached`")
  precondition(queries.columns == settings.heads * d, "queries have heads · headDimension features")
  precondition(counts.count == caches.count && counts.reduce(0, +) == rows, "one query per token")
  let out = Buffer<Scalar>(count: settings.heads * e * rows)
  let together = AttentionScores<Scalar>.queriesAtOnce
  let longest = caches.map(\.count).max() ?? 0
  let width = min(together, counts.max() ?? 0)
  let scores = AttentionScores(settings, keys: longest, queries: width, caches)
  let probabilities = Buffer<Scalar>(count: longest * width)  // (keys, queries)
  var first = 0
  for (count, cache) in zip(counts, caches) {
    let all = 0..<cache.count
    for h in 0..<settings.heads {
      for start in stride(from: 0, to: count, by: together) {
        let n = min(together, count - start)
        scores.multiply(
          cache, head: h, all, queries: queries.buffer.base + h * d * rows + first + start,
          stride: rows, count: n)
        for q in 0..<n {
          _ = scores.softmax(
            head: h, over: settings.visible(start + q, cache.count), of: cache.count, column: q,
            of: n,
            into: probabilities.base
          ) { settings.score($1, head: h, query: start + q, key: $0).0 }
        }
        cache.average(
          head: settings.group(of: h), all, weights: probabilities.base, queries: n,
          into: out.base + h * e * rows + first + start, stride: rows)
      }
    }
    first += count
  }
  return Variable(rows: rows, columns: settings.heads * e, buffer: out)
}

/// Attention of one query per row, as a function of that query and of the keys and values of some tokens of its
/// sequence. Those of other tokens are constants of the cache, which also supplies the primal of the active ones.
///
/// `queries` (rows, heads · headDimension); `keys` (active tokens, keyValueHeads · headDimension); `values` (active
/// tokens, keyValueHeads · valueDimension); any may be constant, and keys and values are nil if no token is active.
/// Each row says which of their rows belong to its sequence; sequences do not mix. An active token that the query
/// does not see has no influence. An application costs O(heads · seen · dimension) per row and vector, and needs
/// memory for the tangents of one row's scores for a few heads at a time.
@_specialize(where Scalar == Float)
@_specialize(where Scalar == Double)
public func selectedAttention<Scalar: RealScalar>(
  queries: Variable<Scalar>, keys: Variable<Scalar>?, values: Variable<Scalar>?,
  rows: [AttentionRow<Scalar>], settings: AttentionSettings
) -> Variable<Scalar> {
  precondition(rows.count == queries.rows, "one attention row per query")
  let active = keys?.rows ?? values?.rows ?? 0
  precondition(
    values?.rows ?? active == active
      && rows.allSatisfy { $0.sources.runs.allSatisfy { $0.row + $0.count <= active } },
    "one row for each active token")
  let (d, e, n) = (settings.headDimension, settings.valueDimension, rows.count)
  precondition(queries.columns == settings.heads * d, "queries have heads · headDimension features")
  precondition(
    keys.map { $0.columns == settings.keyValueHeads * d } ?? true
      && values.map { $0.columns == settings.keyValueHeads * e } ?? true,
    "keys and values have their heads' features")
  let out = Buffer<Scalar>(count: settings.heads * e * n)
  let scores = AttentionScores(
    settings, keys: rows.map(\.cache.count).max() ?? 0, queries: 1, rows.lazy.map(\.cache))
  var points: [AttentionStep<Scalar>.Point] = []
  for (r, row) in rows.enumerated() {
    let seen = settings.visible(row.target, row.cache.count)
    let count = seen.count
    var point = AttentionStep<Scalar>.Point(
      cache: row.cache, seen: seen, active: row.sources.places(in: seen),
      probabilities: Buffer(count: settings.heads * count),
      slopes: Buffer(count: settings.heads * count))
    for h in 0..<settings.heads {
      let p = point.probabilities.base + h * count
      let slopes = point.slopes.base + h * count
      scores.multiply(
        row.cache, head: h, seen, queries: queries.buffer.base + h * d * n + r, stride: n, count: 1)
      let (best, sink) = scores.softmax(
        head: h, over: 0..<count, of: count, column: 0, of: 1, into: p
      ) {
        let (score, slope) = settings.score(
          $1, head: h, query: row.target, key: seen.lowerBound + $0)
        slopes[$0] = Scalar(slope)
        return score
      }
      point.mostProbable.append(best)
      point.sinks.append(Scalar(sink))
      row.cache.average(
        head: settings.group(of: h), seen, weights: p, queries: 1,
        into: out.base + h * e * n + r, stride: n)
    }
    points.append(point)
  }
  guard let trace = Variable.trace(of: queries, keys, values) else {
    return Variable(rows: n, columns: settings.heads * e, buffer: out)
  }
  let step = AttentionStep(
    settings: settings, query: queries.position, key: keys?.position, value: values?.position,
    activeTokens: active, queryValues: queries.buffer, points: points,
    longest: points.map(\.seen.count).max() ?? 0)
  return trace.record(step, rows: n, columns: settings.heads * e, value: out)
}
