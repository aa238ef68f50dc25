import LinearAlgebra

/// The scores of a few queries at a time and the probabilities computed from them, in double precision.
///
/// With a sink of logit z the probabilities are exp(sᵢ) / (Σⱼ exp(sⱼ) + exp(z)). The absolute error of a score
/// becomes a relative error of its probability, and in single precision a score of 30 is off by 10⁻⁶ or more.
struct AttentionScores<Scalar: RealScalar> {
  /// The number of queries computed together: as many as products with stored matrices take in one order of
  /// summation.
  static var queriesAtOnce: Int { 32 }

  private let settings: AttentionSettings
  /// (headDimension, queries)
  private let queries: Buffer<Double>
  /// (keys, queries)
  private let scores: Buffer<Double>

  /// Memory for at most this many keys and queries. Precondition: the caches were made for this kind of attention.
  init(
    _ settings: AttentionSettings, keys: Int, queries: Int,
    _ caches: some Sequence<KeyValueCache<Scalar>>
  ) {
    precondition(
      caches.allSatisfy { !$0.isCentred || settings.seesDifferencesOnly },
      "centred keys cannot be used with a soft cap or sinks")
    self.settings = settings
    self.queries = Buffer(count: settings.headDimension * queries)
    scores = Buffer(count: keys * queries)
  }

  /// Computes the products of n queries of head h, (headDimension, n) with a stride, with the keys they see.
  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func multiply(
    _ cache: KeyValueCache<Scalar>, head h: Int, _ seen: Range<Int>,
    queries source: UnsafePointer<Scalar>, stride: Int, count n: Int
  ) {
    for i in 0..<settings.headDimension {
      for q in 0..<n { queries.base[i * n + q] = Double(source[i * stride + q]) }
    }
    Double.multiply(
      cache.keys(head: settings.group(of: h), seen), queries.base, stride: n, into: scores.base,
      stride: n, vectors: n, accumulating: false)
  }

  /// Computes the probabilities of query `column`, of n, of head h over the keys it sees, and 0 for the others of
  /// `count`; `score` turns a key and its product into a score. Returns the most probable key, nil if that is the
  /// sink, and the sink's probability.
  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func softmax(
    head h: Int, over seen: Range<Int>, of count: Int, column: Int, of n: Int,
    into p: UnsafeMutablePointer<Scalar>, score: (Int, Double) -> Double
  ) -> (best: Int?, sink: Double) {
    let own = scores.base + column
    let sink = settings.sinks?[h]
    var (largest, best) = (
      sink ?? -Double.infinity, sink == nil ? Optional(seen.lowerBound) : nil
    )
    for t in seen {
      let s = score(t, own[t * n])
      own[t * n] = s
      if s > largest { (largest, best) = (s, t) }
    }
    let rest = sink.map { Double.exp($0 - largest) } ?? 0
    var total = rest
    for t in seen {
      own[t * n] = Double.exp(own[t * n] - largest)
      total += own[t * n]
    }
    for t in 0..<count { p[t * n + column] = seen.contains(t) ? Scalar(own[t * n] / total) : 0 }
    return (best, rest / total)
  }
}
