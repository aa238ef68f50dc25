import LinearAlgebra

/// What kind of soft-max attention: heads and their sizes, scale, and what a query may see.
///
/// Query head h reads key-value head h · keyValueHeads / heads (grouped-query attention, Ainslie et al.,
/// arXiv 2305.13245).
public struct AttentionSettings<Scalar: RealScalar>: Sendable {
  /// Query heads.
  public var heads: Int
  /// Heads of keys and values, a divisor of `heads`.
  public var keyValueHeads: Int
  /// Features of a head.
  public var headDimension: Int
  /// Factor of the scores, mostly headDimension^(−½).
  public var scale: Scalar
  /// c of the soft cap c · tanh(score / c), if any.
  public var softCap: Scalar?
  /// The positions a query at a position of a sequence of some length may see.
  public var visible: @Sendable (_ query: Int, _ count: Int) -> Range<Int>
  /// What is added to a score, if anything: head, query position, key position.
  public var bias: (@Sendable (_ head: Int, _ query: Int, _ key: Int) -> Scalar)?

  /// Settings; without `visible` every token sees itself and all before it.
  public init(
    heads: Int, keyValueHeads: Int, headDimension: Int, scale: Scalar, softCap: Scalar? = nil,
    visible: @escaping @Sendable (_ query: Int, _ count: Int) -> Range<Int> = { q, _ in 0..<q + 1 },
    bias: (@Sendable (_ head: Int, _ query: Int, _ key: Int) -> Scalar)? = nil
  ) {
    precondition(heads % keyValueHeads == 0, "key-value heads divide the heads")
    self.heads = heads
    self.keyValueHeads = keyValueHeads
    self.headDimension = headDimension
    self.scale = scale
    self.softCap = softCap
    self.visible = visible
    self.bias = bias
  }

  /// The score after scale, cap and bias, and its derivative by the product q · k.
  func score(_ product: Scalar, head: Int, query: Int, key: Int) -> (Scalar, slope: Scalar) {
    var (s, slope) = (product * scale, scale)
    if let softCap {
      let t = Scalar.tanh(s / softCap)
      (s, slope) = (softCap * t, slope * (1 - t * t))
    }
    if let bias { s += bias(head, query, key) }
    return (s, slope)
  }
}

/// The keys and values of all tokens of one sequence, as constants: what a query of that sequence may look at.
public final class KeyValueCache<Scalar: RealScalar> {
  /// Tokens.
  public let count: Int
  let headDimension: Int
  /// (keyValueHeads, tokens, headDimension)
  private let keys: Buffer<Scalar>
  private let values: Buffer<Scalar>

  /// Copies keys and values (tokens, keyValueHeads · headDimension) of the tokens in `rows`, by default all.
  public init(
    keys: Variable<Scalar>, values: Variable<Scalar>, rows: Range<Int>? = nil, headDimension: Int
  ) {
    let rows = rows ?? 0..<keys.rows
    count = rows.count
    self.headDimension = headDimension
    self.keys = Self.byHead(keys, rows, headDimension)
    self.values = Self.byHead(values, rows, headDimension)
  }

  /// Bytes held.
  public var byteCount: Int { (keys.count + values.count) * MemoryLayout<Scalar>.stride }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  private static func byHead(
    _ x: Variable<Scalar>, _ rows: Range<Int>, _ d: Int
  ) -> Buffer<Scalar> {
    let result = Buffer<Scalar>(count: rows.count * x.columns)
    for c in 0..<x.columns {
      for (t, row) in rows.enumerated() {
        result.base[((c / d) * rows.count + t) * d + c % d] = x.buffer.base[c * x.rows + row]
      }
    }
    return result
  }

  /// (visible tokens, headDimension) of one head.
  func keys(head: Int, _ range: Range<Int>) -> StoredMatrix { view(keys, head, range) }
  func values(head: Int, _ range: Range<Int>) -> StoredMatrix { view(values, head, range) }

  private func view(_ buffer: Buffer<Scalar>, _ head: Int, _ range: Range<Int>) -> StoredMatrix {
    StoredMatrix(
      base: UnsafeRawPointer(buffer.base + (head * count + range.lowerBound) * headDimension),
      elementType: Scalar.elementType, rows: range.count, columns: headDimension, owner: buffer)
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

/// Attention of every token of some sequences, evaluated: (tokens, heads · headDimension), a constant. Vaswani et al.,
/// arXiv 1706.03762.
///
/// The rows of `queries` are the sequences' tokens one after another, each sequence with its own cache; `counts` says how
/// many are whose where a sequence looks at the keys and values of another. Cost O(heads · tokens² · headDimension) a
/// sequence; memory tokens² numbers for one head at a time.
@_specialize(where Scalar == Float)
@_specialize(where Scalar == Double)
public func sequenceAttention<Scalar: RealScalar>(
  queries: Variable<Scalar>, counts: [Int]? = nil, caches: [KeyValueCache<Scalar>],
  settings: AttentionSettings<Scalar>
) -> Variable<Scalar> {
  let (d, rows) = (settings.headDimension, queries.rows)
  let counts = counts ?? caches.map(\.count)
  precondition(queries.columns == settings.heads * d, "queries have heads · headDimension features")
  precondition(counts.count == caches.count && counts.reduce(0, +) == rows, "one query a token")
  let out = Buffer<Scalar>(count: queries.count)
  let largest = zip(counts, caches).map { $0 * $1.count }.max() ?? 0
  let scores = Buffer<Scalar>(count: largest)  // (keys, queries)
  var first = 0
  for (n, cache) in zip(counts, caches) {
    let seen = cache.count
    for h in 0..<settings.heads {
      let group = h * settings.keyValueHeads / settings.heads
      let start = h * d * rows + first
      Scalar.multiply(
        cache.keys(head: group, 0..<seen), queries.buffer.base + start, stride: rows,
        into: scores.base, stride: n, vectors: n, accumulating: false)
      for q in 0..<n {
        softmax(over: settings.visible(q, seen), count: seen, scores.base + q, stride: n) {
          settings.score($1, head: h, query: q, key: $0).0
        }
      }
      Scalar.multiplyAdjoint(
        cache.values(head: group, 0..<seen), scores.base, stride: n, into: out.base + start,
        stride: rows, vectors: n, accumulating: false)
    }
    first += n
  }
  return Variable(rows: rows, columns: queries.columns, buffer: out)
}

/// In place, over the keys a query sees; the others get 0.
private func softmax<Scalar: RealScalar>(
  over seen: Range<Int>, count: Int, _ column: UnsafeMutablePointer<Scalar>, stride: Int,
  score: (Int, Scalar) -> Scalar
) {
  var largest = -Scalar.infinity
  for t in seen {
    column[t * stride] = score(t, column[t * stride])
    largest = max(largest, column[t * stride])
  }
  var total: Scalar = 0
  for t in 0..<count {
    guard seen.contains(t) else {
      column[t * stride] = 0
      continue
    }
    column[t * stride] = Scalar.exp(column[t * stride] - largest)
    total += column[t * stride]
  }
  for t in seen { column[t * stride] /= total }
}

/// Attention of one query a row, as a function of that query and of the key and value of one token of its sequence; the
/// other tokens' keys and values are constants of the cache, which also supplies the primal of the active ones.
///
/// `queries` (rows, heads · headDimension); `keys`, `values` (rows, keyValueHeads · headDimension); any may be constant, and
/// nil when no row has a source. A source the query does not see has no influence.
@_specialize(where Scalar == Float)
@_specialize(where Scalar == Double)
public func selectedAttention<Scalar: RealScalar>(
  queries: Variable<Scalar>, keys: Variable<Scalar>?, values: Variable<Scalar>?,
  rows: [AttentionRow<Scalar>], settings: AttentionSettings<Scalar>
) -> Variable<Scalar> {
  precondition(
    rows.count == queries.rows && keys.map { $0.rows == rows.count } ?? true, "one selection a row")
  let (d, n) = (settings.headDimension, rows.count)
  precondition(queries.columns == settings.heads * d, "queries have heads · headDimension features")
  precondition(
    keys.map { $0.columns == settings.keyValueHeads * d } ?? true,
    "keys have their heads' features")
  let out = Buffer<Scalar>(count: queries.count)
  var points: [AttentionStep<Scalar>.Point] = []
  for (r, row) in rows.enumerated() {
    let seen = settings.visible(row.target, row.cache.count)
    let count = seen.count
    let point = AttentionStep<Scalar>.Point(
      cache: row.cache, seen: seen,
      source: row.source.flatMap { seen.contains($0) ? $0 - seen.lowerBound : nil },
      probabilities: Buffer(count: settings.heads * count),
      slopes: Buffer(count: settings.heads * count))
    for h in 0..<settings.heads {
      let group = h * settings.keyValueHeads / settings.heads
      let p = point.probabilities.base + h * count
      Scalar.multiply(
        row.cache.keys(head: group, seen), queries.buffer.base + h * d * n + r, stride: n, into: p,
        stride: 1, vectors: 1, accumulating: false)
      softmax(over: 0..<count, count: count, p, stride: 1) { t, product in
        let (score, slope) = settings.score(
          product, head: h, query: row.target, key: seen.lowerBound + t)
        point.slopes.base[h * count + t] = slope
        return score
      }
      Scalar.multiplyAdjoint(
        row.cache.values(head: group, seen), p, stride: 1, into: out.base + h * d * n + r,
        stride: n, vectors: 1, accumulating: false)
    }
    points.append(point)
  }
  guard let trace = queries.site?.trace ?? keys?.site?.trace ?? values?.site?.trace else {
    return Variable(rows: n, columns: queries.columns, buffer: out)
  }
  let step = AttentionStep(
    settings: settings, query: queries.position, key: keys?.position, value: values?.position,
    queryValues: queries.buffer, points: points)
  return trace.record(step, rows: n, columns: queries.columns, value: out)
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
  }

  let settings: AttentionSettings<Scalar>
  let query: Int?
  let key: Int?
  let value: Int?
  /// (heads · headDimension, rows)
  let queryValues: Buffer<Scalar>
  let points: [Point]

  var inputs: [Int] { [query, key, value].compactMap { $0 } }
  /// The tangent of the probabilities of one head, and its weighted sum.
  var scratchCount: Int { (points.map(\.seen.count).max() ?? 0) + 1 }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func jvp(_ workspace: Workspace<Scalar>, into out: UnsafeMutablePointer<Scalar>) {
    let (d, b) = (settings.headDimension, workspace.vectors)
    let lanes = points.count * b
    for (r, point) in points.enumerated() {
      let count = point.seen.count
      for h in 0..<settings.heads {
        let group = h * settings.keyValueHeads / settings.heads
        let ds = workspace.scratch
        let output = out + h * d * lanes + r * b
        if let query {
          Scalar.multiply(
            point.cache.keys(head: group, point.seen),
            workspace.slot(query) + h * d * lanes + r * b, stride: lanes, into: ds, stride: b,
            vectors: b, accumulating: false)
        } else {
          ds.update(repeating: 0, count: count * b)
        }
        if let key, let a = point.source {
          let dk = workspace.slot(key) + group * d * lanes + r * b
          for i in 0..<d { axpy(queryValue(h, i, r), dk + i * lanes, ds + a * b, b, true) }
        }
        scaleLanes(
          by: point.slopes.base + h * count, ds, into: ds, count: count, lanes: b,
          accumulating: false)
        project(point, h, ds, b)
        Scalar.multiplyAdjoint(
          point.cache.values(head: group, point.seen), ds, stride: b, into: output, stride: lanes,
          vectors: b, accumulating: false)
        if let value, let a = point.source {
          let dv = workspace.slot(value) + group * d * lanes + r * b
          let p = point.probabilities.base[h * count + a]
          for i in 0..<d { axpy(p, dv + i * lanes, output + i * lanes, b, true) }
        }
      }
    }
  }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func vjp(_ workspace: Workspace<Scalar>, _ cotangent: UnsafePointer<Scalar>) {
    let (d, b) = (settings.headDimension, workspace.vectors)
    let lanes = points.count * b
    let dq = query.map { workspace.accumulator(of: $0) }
    let dk = key.map { workspace.accumulator(of: $0) }
    let dv = value.map { workspace.accumulator(of: $0) }
    for (r, point) in points.enumerated() {
      let count = point.seen.count
      for h in 0..<settings.heads {
        let group = h * settings.keyValueHeads / settings.heads
        let ds = workspace.scratch
        let given = cotangent + h * d * lanes + r * b
        Scalar.multiply(
          point.cache.values(head: group, point.seen), given, stride: lanes, into: ds, stride: b,
          vectors: b, accumulating: false)
        project(point, h, ds, b)
        scaleLanes(
          by: point.slopes.base + h * count, ds, into: ds, count: count, lanes: b,
          accumulating: false)
        if let dq {
          Scalar.multiplyAdjoint(
            point.cache.keys(head: group, point.seen), ds, stride: b,
            into: dq + h * d * lanes + r * b, stride: lanes, vectors: b, accumulating: true)
        }
        guard let a = point.source else { continue }
        if let dk {
          let target = dk + group * d * lanes + r * b
          for i in 0..<d { axpy(queryValue(h, i, r), ds + a * b, target + i * lanes, b, true) }
        }
        if let dv {
          let target = dv + group * d * lanes + r * b
          let p = point.probabilities.base[h * count + a]
          for i in 0..<d { axpy(p, given + i * lanes, target + i * lanes, b, true) }
        }
      }
    }
  }

  private func queryValue(_ h: Int, _ i: Int, _ r: Int) -> Scalar {
    queryValues.base[(h * settings.headDimension + i) * points.count + r]
  }

  /// x ← p ∘ x − p (p · x): the derivative of soft-max, its own adjoint.
  private func project(_ point: Point, _ h: Int, _ x: UnsafeMutablePointer<Scalar>, _ b: Int) {
    let count = point.seen.count
    let p = point.probabilities.base + h * count
    let mean = x + count * b
    dotLanes(p, x, into: mean, columns: count, rows: 1, lanes: b)
    for t in 0..<count {
      // p (x − mean)
      axpy(-1, mean, x + t * b, b, true)
      axpy(p[t], x + t * b, x + t * b, b, false)
    }
  }
}
