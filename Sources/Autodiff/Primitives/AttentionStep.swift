import LinearAlgebra
import Weights

/// The derivative of attention. With s = slope ∘ (K q), p = softmax(s), o = Vᵀ p and the active tokens a,
///
///     ds = slope ∘ (K dq + Σₐ eₐ (q · dkₐ)),  dp = p ∘ ds − p (p · ds),  do = Vᵀ dp + Σₐ pₐ dvₐ.
struct AttentionStep<Scalar: RealScalar>: Primitive {
  /// The saved values of one row.
  struct Point {
    let cache: KeyValueCache<Scalar>
    let seen: Range<Int>
    /// The active tokens among the seen ones.
    let active: [ActiveTokens.Run]
    /// (heads, seen)
    let probabilities: Buffer<Scalar>
    let slopes: Buffer<Scalar>
    /// The most probable key of each head, counted from the first one seen; nil for the sink.
    var mostProbable: [Int?] = []
    /// The probability of each head's sink; 0 without one.
    var sinks: [Scalar] = []
  }

  let settings: AttentionSettings
  let query: Int?
  let key: Int?
  let value: Int?
  /// The number of rows of keys and values.
  let activeTokens: Int
  /// (heads · headDimension, rows)
  let queryValues: Buffer<Scalar>
  let points: [Point]
  /// The largest number of tokens that a row sees.
  let longest: Int

  var inputs: [Int] { [query, key, value].compactMap { $0 } }

  /// The number of strands, which compute groups of heads with common keys and values in parallel if there is more
  /// than one row; each has its own scratch memory.
  private var strands: Int { points.count > 1 ? min(settings.keyValueHeads, 4) : 1 }
  /// Scratch for the tangent of one head's probabilities, the reference subtracted from it, and its weighted sum.
  private var strandScratch: Int { longest + 2 }
  var scratchCount: Int { strands * strandScratch }

  /// Runs `body` for every head of every row, with the scratch of its strand. Heads of one group run one after
  /// another.
  @inline(__always)
  private func forEachHead(
    _ workspace: Workspace<Scalar>,
    _ body: (_ head: Int, _ row: Int, Point, _ scratch: UnsafeMutablePointer<Scalar>) -> Void
  ) {
    let (strands, size) = (strands, strandScratch * workspace.vectors)
    let (settings, groups) = (settings, settings.keyValueHeads)
    nonisolated(unsafe) let scratch = workspace.scratch
    withoutActuallyEscaping(body) { body in
      nonisolated(unsafe) let (body, points) = (body, points)
      @Sendable func run(_ strand: Int) {
        for group in stride(from: strand, to: groups, by: strands) {
          for (r, point) in points.enumerated() {
            for h in settings.heads(of: group) {
              body(h, r, point, scratch + strand * size)
            }
          }
        }
      }
      if strands > 1 { Engine.forEach(strands, run) } else { run(0) }
    }
  }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func jvp(_ workspace: Workspace<Scalar>, into out: UnsafeMutablePointer<Scalar>) {
    let (d, e, b) = (settings.headDimension, settings.valueDimension, workspace.vectors)
    let (tangents, given) = (points.count * b, activeTokens * b)
    forEachHead(workspace) { h, r, point, ds in
      let (count, group) = (point.seen.count, settings.group(of: h))
      let output = out + h * e * tangents + r * b
      if query == nil && (key == nil || point.active.isEmpty) {
        for i in 0..<e { (output + i * tangents).update(repeating: 0, count: b) }
      } else {
        if let query {
          Scalar.multiply(
            point.cache.keys(head: group, point.seen),
            workspace.slot(query) + h * d * tangents + r * b, stride: tangents, into: ds, stride: b,
            vectors: b, accumulating: false)
        } else {
          ds.update(repeating: 0, count: count * b)
        }
        if let key {
          for run in point.active {
            let dk = workspace.slot(key) + group * d * given + run.row * b
            for i in 0..<d {
              axpy(queryValue(h, i, r), dk + i * given, ds + run.token * b, run.count * b, true)
            }
          }
        }
        scaleTangents(
          by: point.slopes.base + h * count, ds, into: ds, count: count, tangents: b,
          accumulating: false)
        project(point, h, ds, b, scratch: ds + count * b)
        Scalar.multiplyAdjoint(
          point.cache.values(head: group, point.seen), ds, stride: b, into: output,
          stride: tangents, vectors: b, accumulating: false)
      }
      guard let value else { return }
      for run in point.active {
        let dv = workspace.slot(value) + group * e * given + run.row * b
        let p = point.probabilities.base + h * count + run.token
        for i in 0..<e {
          for a in 0..<run.count {
            axpy(p[a], dv + i * given + a * b, output + i * tangents, b, true)
          }
        }
      }
    }
  }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func vjp(_ workspace: Workspace<Scalar>, _ cotangent: UnsafePointer<Scalar>) {
    let (d, e, b) = (settings.headDimension, settings.valueDimension, workspace.vectors)
    let (tangents, taken) = (points.count * b, activeTokens * b)
    let dq = query.map { workspace.accumulator(of: $0) }
    let dk = key.map { workspace.accumulator(of: $0) }
    let dv = value.map { workspace.accumulator(of: $0) }
    forEachHead(workspace) { h, r, point, ds in
      let (count, group) = (point.seen.count, settings.group(of: h))
      let given = cotangent + h * e * tangents + r * b
      if let dv {
        for run in point.active {
          let target = dv + group * e * taken + run.row * b
          let p = point.probabilities.base + h * count + run.token
          for i in 0..<e {
            for a in 0..<run.count {
              axpy(p[a], given + i * tangents, target + i * taken + a * b, b, true)
            }
          }
        }
      }
      guard dq != nil || (dk != nil && !point.active.isEmpty) else { return }
      Scalar.multiply(
        point.cache.values(head: group, point.seen), given, stride: tangents, into: ds, stride: b,
        vectors: b, accumulating: false)
      project(point, h, ds, b, scratch: ds + count * b)
      scaleTangents(
        by: point.slopes.base + h * count, ds, into: ds, count: count, tangents: b,
        accumulating: false)
      if let dq {
        Scalar.multiplyAdjoint(
          point.cache.keys(head: group, point.seen), ds, stride: b,
          into: dq + h * d * tangents + r * b, stride: tangents, vectors: b, accumulating: true)
      }
      guard let dk else { return }
      for run in point.active {
        let target = dk + group * d * taken + run.row * b
        for i in 0..<d {
          axpy(queryValue(h, i, r), ds + run.token * b, target + i * taken, run.count * b, true)
        }
      }
    }
  }

  func queryValue(_ h: Int, _ i: Int, _ r: Int) -> Scalar {
    queryValues.base[(h * settings.headDimension + i) * points.count + r]
  }

  /// x ← p ∘ x − p (p · x): the derivative of soft-max, which is its own adjoint.
  ///
  /// Adding a constant to all of x changes nothing, so the entry of the most probable key is subtracted from all
  /// entries first. Of a saturated soft-max, p ≈ 1 for that key, the result would otherwise be little more than the
  /// difference of its entry and p · x, which is rounding; the differences of the other entries, each times its small
  /// p, are accurate. A sink counts as one more key, whose x is 0. `scratch` is for 2 b numbers.
  func project(
    _ point: Point, _ h: Int, _ x: UnsafeMutablePointer<Scalar>, _ b: Int,
    scratch: UnsafeMutablePointer<Scalar>
  ) {
    let count = point.seen.count
    let p = point.probabilities.base + h * count
    let (reference, mean) = (scratch, scratch + b)
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
