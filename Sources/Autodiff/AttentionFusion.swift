import LinearAlgebra
import Weights

// Fusion of one row's attention with the maps around it. Among the T tokens that its query sees, only the row's own token a has a
// key and a value that move, so the derivative of o = W_o y, with the head's y = Σₜ pₜ vₜ and p = softmax(s), is
//
//     do = Σₕ W_o,h (pₕₐ dv) + Σₕₜ (W_o,h vₜ) dpₕₜ,   dpₕ = pₕ ∘ dsₕ − pₕ (pₕ · dsₕ),   ds = S dx,
//     Sₕₜ = slopeₕₜ (kₜᵀ Qₕ + [t = a] qₕᵀ K),
//
// where Q and K are the derivatives of query and key: projection, norm, rotation. S (H T, n) and the maps of dp and dv are formed
// once. With few tokens they have far fewer numbers than the projections to queries and from heads, whose widths are all features
// of all heads, and they replace the small products with every head's keys and values.

/// do and its adjoint, given dx and the tangent dv of the row's own values.
struct FusedAttentionStep<Scalar: RealScalar>: FusedPrimitive {
  let input: Int
  let value: Int
  let attention: AttentionStep<Scalar>
  let maps: AttentionMaps<Scalar>

  var inputs: [Int] { [input, value] }
  var matrices: [FormedMatrix] { maps.all }
  var weightBytes: Int { maps.weightBytes }

  /// The tangents of all scores, what `project` needs, and scaled values.
  var scratchCount: Int { scoreCount + 2 + (maps.values == nil ? maps.output.columns : 0) }
  private var scoreCount: Int { maps.scores.columns }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func jvp(_ workspace: Workspace<Scalar>, into out: UnsafeMutablePointer<Scalar>) {
    let b = workspace.vectors
    let ds = workspace.scratch
    Scalar.multiplyAdjoint(
      maps.scores.stored, workspace.slot(input), stride: b, into: ds, stride: b, vectors: b,
      accumulating: false)
    project(ds, b)
    let dv = workspace.slot(value)
    if let values = maps.values {
      Scalar.multiply(
        values.stored, dv, stride: b, into: out, stride: b, vectors: b, accumulating: false)
    } else {
      let scaled = ds + (scoreCount + 2) * b
      scale(dv, into: scaled, b, accumulating: false)
      Scalar.multiply(
        maps.output, scaled, stride: b, into: out, stride: b, vectors: b, accumulating: false)
    }
    Scalar.multiply(
      maps.averages.stored, ds, stride: b, into: out, stride: b, vectors: b, accumulating: true)
  }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func vjp(_ workspace: Workspace<Scalar>, _ cotangent: UnsafePointer<Scalar>) {
    let b = workspace.vectors
    let ds = workspace.scratch
    Scalar.multiplyAdjoint(
      maps.averages.stored, cotangent, stride: b, into: ds, stride: b, vectors: b,
      accumulating: false)
    project(ds, b)
    let (dx, addsToInput) = workspace.target(of: input)
    Scalar.multiply(
      maps.scores.stored, ds, stride: b, into: dx, stride: b, vectors: b, accumulating: addsToInput)
    let (dv, addsToValue) = workspace.target(of: value)
    if let values = maps.values {
      Scalar.multiplyAdjoint(
        values.stored, cotangent, stride: b, into: dv, stride: b, vectors: b,
        accumulating: addsToValue)
    } else {
      let scaled = ds + (scoreCount + 2) * b
      Scalar.multiplyAdjoint(
        maps.output, cotangent, stride: b, into: scaled, stride: b, vectors: b, accumulating: false)
      scale(scaled, into: dv, b, accumulating: addsToValue)
    }
  }

  /// The derivative of every head's soft-max.
  private func project(_ ds: UnsafeMutablePointer<Scalar>, _ b: Int) {
    let point = attention.points[0]
    for h in 0..<attention.settings.heads {
      attention.project(
        point, h, ds + h * point.seen.count * b, b, scratch: ds + scoreCount * b)
    }
  }

  /// Every head's values times its probability of the row's own token, where each head has values of its own.
  private func scale(
    _ x: UnsafePointer<Scalar>, into y: UnsafeMutablePointer<Scalar>, _ b: Int, accumulating: Bool
  ) {
    let size = attention.settings.valueDimension * b
    for h in 0..<attention.settings.heads {
      axpy(maps.ownProbability(h), x + h * size, y + h * size, size, accumulating)
    }
  }
}

/// The matrices of a fused attention.
struct AttentionMaps<Scalar: RealScalar> {
  /// The derivative of queries or keys by the row: a projection, then steps that act on every head by itself.
  struct Projection {
    /// The steps after the product with the weights, last first.
    let steps: [(position: Int, primitive: any Primitive<Scalar>)]
    /// The position of the product, whose features from `first` on are the heads'; all of them unless they are a part.
    let product, first: Int
    let isPart: Bool
    /// The position of the row, and the weights.
    let input: Int
    let weights: StoredMatrix
  }

  /// Sᵀ (n, H T).
  let scores: FormedMatrix
  /// The maps W_o,h vₜ of the probabilities (m, H T).
  let averages: FormedMatrix
  /// The maps Σₕ pₕₐ W_o,h over the heads of a group (m, values of all groups); nil if every head has values of its own: then they
  /// are scaled before `output`, since the map would be no smaller.
  let values: FormedMatrix?
  /// W_o.
  let output: StoredMatrix
  /// The bytes of the stored weights that are replaced.
  let weightBytes: Int
  private let attention: AttentionStep<Scalar>

  var all: [FormedMatrix] { [scores, averages] + (values.map { [$0] } ?? []) }

  /// Preconditions: a single row, of which query, key and value are active, and no other token's.
  init(
    _ attention: AttentionStep<Scalar>, queries: Projection, keys: Projection,
    output: StoredMatrix, counts: [Int]
  ) {
    let (settings, point) = (attention.settings, attention.points[0])
    let tokens = point.seen.count
    // The Jacobians of a prompt's tokens see one token more each, and take turns in the same memory.
    let capacity = settings.heads * ((tokens + 3) / 4 * 4)
    scores = FormedMatrix(
      rows: queries.weights.columns, columns: settings.heads * tokens,
      capacity: queries.weights.columns * capacity
    ) {
      let out = UnsafeMutableRawPointer($0).assumingMemoryBound(to: Scalar.self)
      Self.formScores(of: queries, attention, counts, into: out)
      Self.addOwnScores(of: keys, attention, counts, into: out)
    }
    averages = FormedMatrix(
      rows: output.rows, columns: settings.heads * tokens, capacity: output.rows * capacity
    ) {
      Self.formAverages(
        output, attention, into: UnsafeMutableRawPointer($0).assumingMemoryBound(to: Scalar.self))
    }
    let isShared = settings.keyValueHeads < settings.heads
    let columns = settings.keyValueHeads * settings.valueDimension
    values =
      isShared
      ? FormedMatrix(rows: output.rows, columns: columns) {
        Self.formValues(output, attention, columns, into: $0)
      } : nil
    self.output = output
    weightBytes =
      queries.weights.weightBytes + keys.weights.weightBytes + output.weightBytes
    self.attention = attention
  }

  /// pₕₐ.
  func ownProbability(_ h: Int) -> Scalar { Self.ownProbability(attention, h) }

  private static func ownProbability(_ attention: AttentionStep<Scalar>, _ h: Int) -> Scalar {
    let point = attention.points[0]
    return point.probabilities.base[h * point.seen.count + point.active[0].token]
  }

  /// Carries cotangents of a projection's heads, written by `body`, back to the product with its weights: (features, b).
  private static func carriedBack(
    _ projection: Projection, at position: Int, vectors b: Int, _ counts: [Int],
    _ body: (UnsafeMutablePointer<Scalar>) -> Void,
    then use: (UnsafePointer<Scalar>) -> Void
  ) {
    let live = Set(projection.steps.map(\.position) + [projection.product])
    let workspace = Workspace<Scalar>(
      counts.enumerated().map {
        .init(count: live.contains($0) ? $1 : 0, first: 0, last: counts.count)
      }, scratch: projection.steps.map(\.primitive.scratchCount).max() ?? 0)
    workspace.begin(vectors: b)
    body(workspace.accumulator(of: position))
    for step in projection.steps { step.primitive.vjp(workspace, workspace.slot(step.position)) }
    use(workspace.slot(projection.product) + projection.first * b)
  }

  /// slopeₕₜ kₜᵀ Qₕ for all heads and tokens: a vector for every token, of all heads at once until the product.
  private static func formScores(
    of queries: Projection, _ attention: AttentionStep<Scalar>, _ counts: [Int],
    into out: UnsafeMutablePointer<Scalar>
  ) {
    let (settings, point) = (attention.settings, attention.points[0])
    let (d, tokens) = (settings.headDimension, point.seen.count)
    carriedBack(queries, at: attention.query!, vectors: tokens, counts) { cotangents in
      for h in 0..<settings.heads {
        let keys = point.cache.keys(head: settings.group(of: h), point.seen).base
          .assumingMemoryBound(to: Scalar.self)
        for t in 0..<tokens {
          let slope = point.slopes.base[h * tokens + t]
          for i in 0..<d { cotangents[(h * d + i) * tokens + t] = slope * keys[t * d + i] }
        }
      }
    } then: { cotangents in
      for h in 0..<settings.heads {
        Scalar.multiplyAdjoint(
          queries.rows(ofHead: h, d), cotangents + h * d * tokens, stride: tokens,
          into: out + h * tokens, stride: settings.heads * tokens, vectors: tokens,
          accumulating: false)
      }
    }
  }

  /// Adds slopeₕₐ qₕᵀ K for all heads: a vector for every head of a group, of all groups at once until the product.
  private static func addOwnScores(
    of keys: Projection, _ attention: AttentionStep<Scalar>, _ counts: [Int],
    into out: UnsafeMutablePointer<Scalar>
  ) {
    let (settings, point) = (attention.settings, attention.points[0])
    let (d, tokens, own) = (settings.headDimension, point.seen.count, point.active[0].token)
    let groups = (0..<settings.keyValueHeads).map(settings.heads)
    let most = groups.map(\.count).max() ?? 0
    let products = Buffer<Scalar>(count: keys.weights.columns * most)
    carriedBack(keys, at: attention.key!, vectors: most, counts) { cotangents in
      for (g, heads) in groups.enumerated() {
        for (j, h) in heads.enumerated() {
          let slope = point.slopes.base[h * tokens + own]
          for i in 0..<d {
            cotangents[(g * d + i) * most + j] = slope * attention.queryValue(h, i, 0)
          }
        }
      }
    } then: { cotangents in
      for (g, heads) in groups.enumerated() {
        Scalar.multiplyAdjoint(
          keys.rows(ofHead: g, d), cotangents + g * d * most, stride: most, into: products.base,
          stride: most, vectors: most, accumulating: false)
        for (j, h) in heads.enumerated() {
          for c in 0..<keys.weights.columns {
            out[(c * settings.heads + h) * tokens + own] += products.base[c * most + j]
          }
        }
      }
    }
  }

  /// W_o,h vₜ for all heads and tokens, as many heads at once as whole blocks of the stored rows need.
  private static func formAverages(
    _ output: StoredMatrix, _ attention: AttentionStep<Scalar>,
    into out: UnsafeMutablePointer<Scalar>
  ) {
    let (settings, point) = (attention.settings, attention.points[0])
    let (e, tokens) = (settings.valueDimension, point.seen.count)
    var together = 1
    while together < settings.heads, together * e % output.columnUnit != 0 { together += 1 }
    let input = Buffer<Scalar>(count: together * together * e * tokens)
    for first in stride(from: 0, to: settings.heads, by: together) {
      let count = min(together, settings.heads - first)
      let vectors = count * tokens
      input.base.update(repeating: 0, count: count * e * vectors)
      for h in 0..<count {
        let values = point.cache.values(head: settings.group(of: first + h), point.seen).base
          .assumingMemoryBound(to: Scalar.self)
        for i in 0..<e {
          let row = input.base + (h * e + i) * vectors + h * tokens
          for t in 0..<tokens { row[t] = values[t * e + i] }
        }
      }
      Scalar.multiply(
        output.columns(first * e..<(first + count) * e), input.base, stride: vectors,
        into: out + first * tokens, stride: settings.heads * tokens, vectors: vectors,
        accumulating: false)
    }
  }

  /// Σₕ pₕₐ W_o,h over the heads of every group.
  private static func formValues(
    _ output: StoredMatrix, _ attention: AttentionStep<Scalar>, _ columns: Int,
    into out: UnsafeMutablePointer<Float>
  ) {
    let (settings, e) = (attention.settings, attention.settings.valueDimension)
    let factors = (0..<settings.heads).map { Float(ownProbability(attention, $0)) }
    let rowsAtOnce = 32
    nonisolated(unsafe) let out = out
    Engine.forEach((output.rows + rowsAtOnce - 1) / rowsAtOnce) { part in
      let row = UnsafeMutablePointer<Float>.allocate(capacity: output.columns)
      defer { row.deallocate() }
      for r in part * rowsAtOnce..<min(output.rows, (part + 1) * rowsAtOnce) {
        output.widen(row: r, into: row)
        for g in 0..<settings.keyValueHeads {
          let sum = out + r * columns + g * e
          for (j, h) in settings.heads(of: g).enumerated() {
            axpy(factors[h], row + h * e, sum, e, j > 0)
          }
        }
      }
    }
  }
}

extension AttentionMaps.Projection {
  /// The weights of one head's features.
  fileprivate func rows(ofHead h: Int, _ d: Int) -> StoredMatrix {
    weights.rows(first + h * d..<first + (h + 1) * d)
  }
}

extension Trace {
  /// Replaces the product with W_o by one fused with the attention of a single row before it, if that saves a third of the
  /// numbers that products multiply with. `uses` says how often each value is used.
  func fuseAttention(
    before output: LinearStep<Scalar>, at place: Int, _ uses: [Int],
    in result: inout [(any Primitive<Scalar>)?]
  ) {
    guard output.rows == 1, let position = output.input, uses[position] == 1,
      !output.transposed, !output.weights.isTransposed,
      let attention = primitives[position] as? AttentionStep<Scalar>,
      let (query, key, value) = attention.onlyActive,
      let queries = projection(to: query, heads: attention.settings.heads, uses),
      let keys = projection(to: key, heads: attention.settings.keyValueHeads, uses),
      queries.input == keys.input
    else { return }
    // What is left of a product whose parts are queries, keys and values are the values.
    let parts = [queries, keys].filter(\.isPart).map(\.product)
    let values = slice(before: value, uses)
    for product in parts {
      let rest = uses[product] - parts.count { $0 == product }
      guard rest == 0 || (rest == 1 && values?.product == product) else { return }
    }
    let maps = AttentionMaps(
      attention, queries: queries, keys: keys, output: output.weights, counts: counts)
    let formed = maps.all.reduce(0) { $0 + $1.rows * $1.columns }
    let w = output.weights
    let kept = maps.values == nil ? w.rows * w.columns : 0
    let replaced = (counts[query] + counts[key]) * queries.weights.columns + w.rows * w.columns
    guard 3 * (formed + kept) <= 2 * replaced, formed <= Self.mostFused else { return }
    result[place] = FusedAttentionStep(
      input: queries.input, value: value, attention: attention, maps: maps)
    if let values, parts.contains(values.product) { result[values.position] = values.step }
  }

  /// The linear map of a single row to the heads' features at `position`, if all that follows its product with weights acts on
  /// every head by itself and has no other use; nil otherwise.
  private func projection(
    to position: Int, heads: Int, _ uses: [Int]
  ) -> AttentionMaps<Scalar>.Projection? {
    var steps: [(position: Int, primitive: any Primitive<Scalar>)] = []
    var (position, first, isPart) = (position, 0, false)
    while let primitive = primitives[position], isPart || uses[position] == 1 {
      guard !isPart || primitive is LinearStep<Scalar> else { return nil }
      let next: Int?
      switch primitive {
      case let step as RotaryStep<Scalar> where step.heads == heads: next = step.input
      case let step as DiagonalPlusLowRank<Scalar>
      where step.groups == heads || step.terms.isEmpty:
        next = step.input
      case let step as DiagonalStep<Scalar> where step.terms.count == 1:
        next = step.terms[0].position
      case let step as GatherStep<Scalar>:
        guard let slice = step.slice else { return nil }
        (next, first, isPart) = (step.input, slice.lowerBound, true)
      case let step as LinearStep<Scalar> where !step.transposed && !step.weights.isTransposed:
        return step.input.map {
          .init(
            steps: steps, product: position, first: first, isPart: isPart, input: $0,
            weights: step.weights)
        }
      default: return nil
      }
      guard let next else { return nil }
      steps.append((position, primitive))
      position = next
    }
    return nil
  }

  /// The part of a product that leads to `value`, as a product of its own with these rows of the weights.
  private func slice(
    before value: Int, _ uses: [Int]
  ) -> (position: Int, product: Int, step: LinearStep<Scalar>)? {
    var position = value
    while let primitive = primitives[position], uses[position] == 1 {
      switch primitive {
      case let step as DiagonalPlusLowRank<Scalar>: position = step.input
      case let step as DiagonalStep<Scalar> where step.terms.count == 1:
        position = step.terms[0].position
      case let step as GatherStep<Scalar>:
        guard let slice = step.slice, let whole = primitives[step.input] as? LinearStep<Scalar>,
          !whole.transposed
        else { return nil }
        let part = LinearStep<Scalar>(
          input: whole.input, rows: whole.rows, weights: whole.weights.rows(slice),
          transposed: false)
        return (position, step.input, part)
      default: return nil
      }
    }
    return nil
  }
}

extension AttentionStep {
  /// The positions of query, key and value if this is the attention of a single row to its own token and constants.
  fileprivate var onlyActive: (query: Int, key: Int, value: Int)? {
    guard points.count == 1, activeTokens == 1, points[0].active.count == 1, let query, let key,
      let value
    else { return nil }
    return (query, key, value)
  }
}
