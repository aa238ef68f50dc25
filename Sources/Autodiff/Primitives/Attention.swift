import Weights
import LinearAlgebra

/// What kind of soft-max attention: heads and their sizes, scale, and what a query may see.
///
/// Query head h reads key-value head h · keyValueHeads / heads (grouped-query attention, Ainslie et al.,
/// arXiv 2305.13245). A head's sink is a logit that joins the soft-max and has no value: pᵢ = exp(sᵢ) / (Σⱼ exp(sⱼ) +
/// exp(sink)) (Xiao et al., arXiv 2309.17453; gpt-oss learns it).
public struct AttentionSettings: Sendable {
  /// Query heads.
  public var heads: Int
  /// Heads of keys and values, a divisor of `heads`.
  public var keyValueHeads: Int
  /// Features of a head's queries and keys.
  public var headDimension: Int
  /// Features of a head's values.
  public var valueDimension: Int
  /// Factor of the scores, mostly headDimension^(−½).
  public var scale: Double
  /// c of the soft cap c · tanh(score / c), if any.
  public var softCap: Double?
  /// The positions a query at a position of a sequence of some length may see.
  public var visible: @Sendable (_ query: Int, _ count: Int) -> Range<Int>
  /// What is added to a score, if anything: head, query position, key position.
  public var bias: (@Sendable (_ head: Int, _ query: Int, _ key: Int) -> Double)?
  /// The logit of each head's sink, if they have one.
  public var sinks: [Double]?

  /// Settings; without `valueDimension` values have as many features as keys, without `visible` every token sees itself
  /// and all before it.
  public init(
    heads: Int, keyValueHeads: Int, headDimension: Int, valueDimension: Int? = nil, scale: Double,
    softCap: Double? = nil,
    visible: @escaping @Sendable (_ query: Int, _ count: Int) -> Range<Int> = { q, _ in 0..<q + 1 },
    bias: (@Sendable (_ head: Int, _ query: Int, _ key: Int) -> Double)? = nil,
    sinks: [Double]? = nil
  ) {
    precondition(heads % keyValueHeads == 0, "key-value heads divide the heads")
    precondition(sinks.map { $0.count == heads } ?? true, "one sink per head")
    self.heads = heads
    self.keyValueHeads = keyValueHeads
    self.headDimension = headDimension
    self.valueDimension = valueDimension ?? headDimension
    self.scale = scale
    self.softCap = softCap
    self.visible = visible
    self.bias = bias
    self.sinks = sinks
  }

  /// Whether what is added to all scores of a query alike has no influence.
  public var seesDifferencesOnly: Bool { softCap == nil && sinks == nil }

  /// The head of keys and values that query head h reads.
  func group(of h: Int) -> Int { h * keyValueHeads / heads }

  /// The score after scale, cap and bias, and its derivative by the product q · k.
  func score(_ product: Double, head: Int, query: Int, key: Int) -> (Double, slope: Double) {
    var (s, slope) = (product * scale, scale)
    if let softCap {
      let t = Double.tanh(s / softCap)
      (s, slope) = (softCap * t, slope * (1 - t * t))
    }
    if let bias { s += bias(head, query, key) }
    return (s, slope)
  }
}

/// One row of a selected attention: a query at `target`, and keys and values of which the ones at `source` are active.
public struct AttentionRow<Scalar: RealScalar> {
  /// All tokens' keys and values.
  public let cache: KeyValueCache<Scalar>
  /// The token whose key and value carry a tangent; nil when none does.
  public let source: Int?
  /// The token that asks.
  public let target: Int

  /// A row.
  public init(cache: KeyValueCache<Scalar>, source: Int?, target: Int) {
    self.cache = cache
    self.source = source
    self.target = target
  }
}

/// Attention of every token of some sequences, evaluated: (tokens, heads · valueDimension), a constant. Vaswani et al.,
/// arXiv 1706.03762.
///
/// The rows of `queries`, constants as well, are the sequences' tokens one after another, each sequence with its own cache;
/// `counts` says how many are whose where a sequence looks at the keys and values of another. Cost
/// O(heads · tokens² · headDimension) a sequence; memory for the scores of a few queries at a time.
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
  precondition(counts.count == caches.count && counts.reduce(0, +) == rows, "one query a token")
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

/// Attention of one query a row, as a function of that query and of the key and value of one token of its sequence; the
/// other tokens' keys and values are constants of the cache, which also supplies the primal of the active ones.
///
/// `queries` (rows, heads · headDimension); `keys` (rows, keyValueHeads · headDimension); `values` (rows, keyValueHeads ·
/// valueDimension), as many for each head as the result has; any may be constant, and nil when no row has a source. A source the query does not see has no influence.
@_specialize(where Scalar == Float)
@_specialize(where Scalar == Double)
public func selectedAttention<Scalar: RealScalar>(
  queries: Variable<Scalar>, keys: Variable<Scalar>?, values: Variable<Scalar>?,
  rows: [AttentionRow<Scalar>], settings: AttentionSettings
) -> Variable<Scalar> {
  precondition(
    rows.count == queries.rows && keys.map { $0.rows == rows.count } ?? true, "one selection a row")
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
      cache: row.cache, seen: seen,
      source: row.source.flatMap { seen.contains($0) ? $0 - seen.lowerBound : nil },
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
    queryValues: queries.buffer, points: points)
  return trace.record(step, rows: n, columns: settings.heads * e, value: out)
}

/// With s = slope ∘ (K q), p = softmax(s), o = Vᵀ p, a the active token:
///
///     ds = slope ∘ (K dq + eₐ (q · dk)),  dp = p ∘ ds − p (p · ds),  do = Vᵀ dp + pₐ dv.
private struct AttentionStep<Scalar: RealScalar>: Primitive {
  /// What is kept of a row.
  struct Point {
    let cache: KeyValueCache<Scalar>
    let seen: Range<Int>
    /// The active token among the seen ones.
    let source: Int?
    /// (heads, seen)
    let probabilities: Buffer<Scalar>
    let slopes: Buffer<Scalar>
    /// For each head one among the seen ones; nil for the sink.
    var mostProbable: [Int?] = []
    /// The probability of each head's sink, 0 where there is none.
    var sinks: [Scalar] = []
  }

  let settings: AttentionSettings
  let query: Int?
  let key: Int?
  let value: Int?
  /// (heads · headDimension, rows)
  let queryValues: Buffer<Scalar>
  let points: [Point]

  var inputs: [Int] { [query, key, value].compactMap { $0 } }
  /// The tangent of the probabilities of one head, what is taken from it, and its weighted sum.
  var scratchCount: Int { (points.map(\.seen.count).max() ?? 0) + 2 }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func jvp(_ workspace: Workspace<Scalar>, into out: UnsafeMutablePointer<Scalar>) {
    let (d, e, b) = (settings.headDimension, settings.valueDimension, workspace.vectors)
    let tangents = points.count * b
    for (r, point) in points.enumerated() {
      let count = point.seen.count
      for h in 0..<settings.heads {
        let group = settings.group(of: h)
        let ds = workspace.scratch
        let output = out + h * e * tangents + r * b
        if let query {
          Scalar.multiply(
            point.cache.keys(head: group, point.seen),
            workspace.slot(query) + h * d * tangents + r * b, stride: tangents, into: ds, stride: b,
            vectors: b, accumulating: false)
        } else {
          ds.update(repeating: 0, count: count * b)
        }
        if let key, let a = point.source {
          let dk = workspace.slot(key) + group * d * tangents + r * b
          for i in 0..<d { axpy(queryValue(h, i, r), dk + i * tangents, ds + a * b, b, true) }
        }
        scaleTangents(
          by: point.slopes.base + h * count, ds, into: ds, count: count, tangents: b,
          accumulating: false)
        project(point, h, ds, b)
        Scalar.multiplyAdjoint(
          point.cache.values(head: group, point.seen), ds, stride: b, into: output,
          stride: tangents,
          vectors: b, accumulating: false)
        if let value, let a = point.source {
          let dv = workspace.slot(value) + group * e * tangents + r * b
          let p = point.probabilities.base[h * count + a]
          for i in 0..<e { axpy(p, dv + i * tangents, output + i * tangents, b, true) }
        }
      }
    }
  }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func vjp(_ workspace: Workspace<Scalar>, _ cotangent: UnsafePointer<Scalar>) {
    let (d, e, b) = (settings.headDimension, settings.valueDimension, workspace.vectors)
    let tangents = points.count * b
    let dq = query.map { workspace.accumulator(of: $0) }
    let dk = key.map { workspace.accumulator(of: $0) }
    let dv = value.map { workspace.accumulator(of: $0) }
    for (r, point) in points.enumerated() {
      let count = point.seen.count
      for h in 0..<settings.heads {
        let group = settings.group(of: h)
        let ds = workspace.scratch
        let given = cotangent + h * e * tangents + r * b
        Scalar.multiply(
          point.cache.values(head: group, point.seen), given, stride: tangents, into: ds, stride: b,
          vectors: b, accumulating: false)
        project(point, h, ds, b)
        scaleTangents(
          by: point.slopes.base + h * count, ds, into: ds, count: count, tangents: b,
          accumulating: false)
        if let dq {
          Scalar.multiplyAdjoint(
            point.cache.keys(head: group, point.seen), ds, stride: b,
            into: dq + h * d * tangents + r * b, stride: tangents, vectors: b, accumulating: true)
        }
        guard let a = point.source else { continue }
        if let dk {
          let target = dk + group * d * tangents + r * b
          for i in 0..<d { axpy(queryValue(h, i, r), ds + a * b, target + i * tangents, b, true) }
        }
        if let dv {
          let target = dv + group * e * tangents + r * b
          let p = point.probabilities.base[h * count + a]
          for i in 0..<e { axpy(p, given + i * tangents, target + i * tangents, b, true) }
        }
      }
    }
  }

  private func queryValue(_ h: Int, _ i: Int, _ r: Int) -> Scalar {
    queryValues.base[(h * settings.headDimension + i) * points.count + r]
  }

  /// x ← p ∘ x − p (p · x): the derivative of soft-max, its own adjoint.
  ///
  /// It does not see what is added to all of x, so that of the most probable key is taken from all first. Of a saturated
  /// soft-max, p ≈ 1 there, little more is left than the difference of that number and p · x, which would be rounding;
  /// the others' differences, each with its small p, have every digit. A sink is one more key, whose x is 0.
  private func project(_ point: Point, _ h: Int, _ x: UnsafeMutablePointer<Scalar>, _ b: Int) {
    let count = point.seen.count
    let p = point.probabilities.base + h * count
    let (reference, mean) = (x + count * b, x + (count + 1) * b)
    if let best = point.mostProbable[h] {
      reference.update(from: x + best * b, count: b)
    } else {
      reference.update(repeating: 0, count: b)
    }
    mean.update(repeating: 0, count: b)
    if point.sinks[h] > 0 { axpy(-point.sinks[h], reference, mean, b, true) }
    for t in 0..<count {
      axpy(-1, reference, x + t * b, b, true)
      axpy(p[t], x + t * b, mean, b, true)
    }
    for t in 0..<count {
      // p (x − mean)
      axpy(-1, mean, x + t * b, b, true)
      axpy(p[t], x + t * b, x + t * b, b, false)
    }
  }
}
