import LinearAlgebra
import Weights

/// The derivative of a recurrence's output at one token t of each reach with respect to its inputs at some tokens τ ≤
/// t.
///
/// A change of the state at τ is read at t by the query, carried back through the steps in between: dy = dS_τᵀ r_τ.
/// With e = β (k · r), and everything on the right at token τ, every head has
///
///     dy = Σ_τ [ S̃ᵀ(A ∘ (r − e k)) dΔ + (δ rᵀ − e S̃ᵀ) dk + e dv + (k · r)(v − S̃ᵀ k) dβ ] + S_tᵀ dq;
///
/// Without the delta rule, β = 1 and the terms with S̃ᵀ k and −e vanish: the factor of dk then has rank one and is
/// saved as two vectors. So an application takes no step through the sequence: it consists of products with matrices
/// of the size of a state, one of the target for each reach and, with the delta rule, one for each token.
final class RecurrenceStep<Scalar: RealScalar>: Primitive {
  private let settings: RecurrenceSettings
  private let queries, keys, values, steps, strengths: Int?
  private let reaches: Int
  private let tokens: Int
  /// The reach that each token belongs to.
  private let owners: [Int]
  /// S_tᵀ (reaches, heads · values, keys), if queries are active.
  private let states: Buffer<Scalar>
  /// δ rᵀ − e S̃ᵀ (tokens, heads · values, keys), if keys are active, with the delta rule.
  private let keyMaps: Buffer<Scalar>
  /// r (tokens, heads, keys) and δ (tokens, heads, values), if keys are active, without the delta rule.
  private let readings, changes: Buffer<Scalar>
  /// The factors of dΔ and dβ (tokens, heads · values), and e (tokens, heads).
  private let stepFactors, strengthFactors, valueFactors: Buffer<Scalar>

  init(
    _ inputs: RecurrenceInputs<Scalar>, reaches: [TokenReach], _ settings: RecurrenceSettings
  ) {
    self.settings = settings
    (queries, keys) = (inputs.queries.position, inputs.keys.position)
    (values, steps) = (inputs.values.position, inputs.steps.position)
    strengths = inputs.strengths?.position
    owners = reaches.enumerated().flatMap { Array(repeating: $0, count: $1.tokens.count) }
    (self.reaches, tokens) = (reaches.count, owners.count)
    let features = settings.heads * settings.valueDimension
    let size = features * settings.keyDimension
    states = Buffer(count: queries == nil ? 0 : reaches.count * size)
    let isDelta = inputs.strengths != nil
    keyMaps = Buffer(count: keys != nil && isDelta ? tokens * size : 0)
    let isPlain = keys != nil && !isDelta
    readings = Buffer(count: isPlain ? tokens * settings.heads * settings.keyDimension : 0)
    changes = Buffer(count: isPlain ? tokens * features : 0)
    stepFactors = Buffer(count: tokens * features)
    strengthFactors = Buffer(count: isDelta ? tokens * features : 0)
    valueFactors = Buffer(count: tokens * settings.heads)
  }

  /// A callback that saves what the rules need of head h.
  func keep(
    _ head: RecurrentHead<Scalar>, _ h: Int, _ pass: RecurrencePass<Scalar>
  ) -> (RecurrenceMoment, RecurrenceVisit) -> Void {
    // The vectors that read each token's update: the query, carried back through the steps in between.
    let readings = pass.members.map { head.carriedBack($0) }
    return { [self] moment, visit in
      switch moment {
      case .beforeDecay: break
      case .beforeUpdate:
        let reading = readings[visit.member].base + visit.place * settings.keyDimension
        keep(head, h, read: reading, at: visit.row)
      case .afterUpdate:
        if visit.output != nil { keepState(head, h, visit.reach) }
      }
    }
  }

  /// Saves what the rules need of head h at a token, read out by r, before the state is updated.
  private func keep(
    _ scan: RecurrentHead<Scalar>, _ h: Int, read r: UnsafePointer<Double>, at token: Int
  ) {
    let (n, size) = (settings.keyDimension, settings.valueDimension)
    let product = dot(scan.key.base, r, n)
    let e = scan.strength * product
    let back = scan.isDelta ? e : 0
    valueFactors.base[token * settings.heads + h] = Scalar(e)
    if readings.count > 0 {
      for i in 0..<n { readings.base[(token * settings.heads + h) * n + i] = Scalar(r[i]) }
    }
    for p in 0..<size {
      let (feature, state) = (
        (token * settings.heads + h) * size + p, scan.state.base + p * n
      )
      var sum = 0.0
      for i in 0..<n {
        sum += settings.rate(h, i) * state[i] * (r[i] - back * scan.key.base[i])
        if keyMaps.count > 0 {
          keyMaps.base[feature * n + i] = Scalar(scan.change.base[p] * r[i] - back * state[i])
        }
      }
      stepFactors.base[feature] = Scalar(sum)
      if changes.count > 0 { changes.base[feature] = Scalar(scan.change.base[p]) }
      if scan.isDelta { strengthFactors.base[feature] = Scalar(product * scan.error.base[p]) }
    }
  }

  /// Saves the state of head h at the target.
  private func keepState(_ scan: RecurrentHead<Scalar>, _ h: Int, _ reach: Int) {
    guard queries != nil else { return }
    let size = settings.valueDimension * settings.keyDimension
    let target = states.base + (reach * settings.heads + h) * size
    for i in 0..<size { target[i] = Scalar(scan.state.base[i]) }
  }

  /// Scratch for r · dk of one head.
  var scratchCount: Int { readings.count > 0 ? 1 : 0 }

  var inputs: [Int] { [queries, keys, values, steps, strengths].compactMap { $0 } }

  /// The rows of a map (…, heads · values, keys) that belong to group g.
  private func map(_ buffer: Buffer<Scalar>, _ row: Int, group g: Int) -> StoredMatrix {
    let rows = settings.heads / settings.groups * settings.valueDimension
    return StoredMatrix(
      base: UnsafeRawPointer(
        buffer.base + (row * settings.groups + g) * rows * settings.keyDimension),
      elementType: Scalar.elementType, rows: rows, columns: settings.keyDimension, owner: buffer)
  }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func jvp(_ workspace: Workspace<Scalar>, into out: UnsafeMutablePointer<Scalar>) {
    let (b, size) = (workspace.vectors, settings.valueDimension)
    let (lanes, given) = (reaches * b, tokens * b)
    let features = settings.heads / settings.groups * size
    out.update(repeating: 0, count: settings.heads * size * lanes)
    for g in 0..<settings.groups {
      let (y, start) = (out + g * features * lanes, g * settings.keyDimension)
      if let queries {
        for r in 0..<reaches {
          Scalar.multiply(
            map(states, r, group: g), workspace.slot(queries) + start * lanes + r * b,
            stride: lanes, into: y + r * b, stride: lanes, vectors: b, accumulating: true)
        }
      }
      if let keys, keyMaps.count > 0 {
        for (t, r) in owners.enumerated() {
          Scalar.multiply(
            map(keyMaps, t, group: g), workspace.slot(keys) + start * given + t * b,
            stride: given, into: y + r * b, stride: lanes, vectors: b, accumulating: true)
        }
      }
    }
    if let keys, readings.count > 0 {
      forEachReading { h, t, r, reading, change in
        let dk =
          workspace.slot(keys) + settings.group(of: h) * settings.keyDimension * given + t * b
        let y = out + h * size * lanes + r * b
        for i in 0..<settings.keyDimension {
          axpy(reading[i], dk + i * given, workspace.scratch, b, i > 0)
        }
        for p in 0..<size { axpy(change[p], workspace.scratch, y + p * lanes, b, true) }
      }
    }
    forEachFactor { feature, h, t, r in
      let y = out + feature * lanes + r * b
      let i = t * settings.heads * size + feature
      if let values {
        axpy(
          valueFactors.base[t * settings.heads + h],
          workspace.slot(values) + feature * given + t * b, y, b, true)
      }
      if let steps {
        axpy(stepFactors.base[i], workspace.slot(steps) + h * given + t * b, y, b, true)
      }
      if let strengths {
        axpy(strengthFactors.base[i], workspace.slot(strengths) + h * given + t * b, y, b, true)
      }
    }
  }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func vjp(_ workspace: Workspace<Scalar>, _ cotangent: UnsafePointer<Scalar>) {
    let (b, size) = (workspace.vectors, settings.valueDimension)
    let (lanes, given) = (reaches * b, tokens * b)
    let features = settings.heads / settings.groups * size
    let dq = queries.map { workspace.accumulator(of: $0) }
    let dk = keys.map { workspace.accumulator(of: $0) }
    let dv = values.map { workspace.accumulator(of: $0) }
    let dΔ = steps.map { workspace.accumulator(of: $0) }
    let dβ = strengths.map { workspace.accumulator(of: $0) }
    for g in 0..<settings.groups {
      let (y, start) = (cotangent + g * features * lanes, g * settings.keyDimension)
      if let dq {
        for r in 0..<reaches {
          Scalar.multiplyAdjoint(
            map(states, r, group: g), y + r * b, stride: lanes,
            into: dq + start * lanes + r * b, stride: lanes, vectors: b, accumulating: true)
        }
      }
      if let dk, keyMaps.count > 0 {
        for (t, r) in owners.enumerated() {
          Scalar.multiplyAdjoint(
            map(keyMaps, t, group: g), y + r * b, stride: lanes,
            into: dk + start * given + t * b, stride: given, vectors: b, accumulating: true)
        }
      }
    }
    if let dk, readings.count > 0 {
      forEachReading { h, t, r, reading, change in
        let dk = dk + settings.group(of: h) * settings.keyDimension * given + t * b
        let y = cotangent + h * size * lanes + r * b
        for p in 0..<size { axpy(change[p], y + p * lanes, workspace.scratch, b, p > 0) }
        for i in 0..<settings.keyDimension {
          axpy(reading[i], workspace.scratch, dk + i * given, b, true)
        }
      }
    }
    forEachFactor { feature, h, t, r in
      let y = cotangent + feature * lanes + r * b
      let i = t * settings.heads * size + feature
      if let dv {
        axpy(valueFactors.base[t * settings.heads + h], y, dv + feature * given + t * b, b, true)
      }
      if let dΔ { axpy(stepFactors.base[i], y, dΔ + h * given + t * b, b, true) }
      if let dβ { axpy(strengthFactors.base[i], y, dβ + h * given + t * b, b, true) }
    }
  }

  /// Runs `body` for every head at every token, with its reading r and its change δ.
  @inline(__always)
  private func forEachReading(
    _ body: (
      _ head: Int, _ token: Int, _ reach: Int, UnsafePointer<Scalar>, UnsafePointer<Scalar>
    ) -> Void
  ) {
    for h in 0..<settings.heads {
      for (t, r) in owners.enumerated() {
        let place = t * settings.heads + h
        body(
          h, t, r, readings.base + place * settings.keyDimension,
          changes.base + place * settings.valueDimension)
      }
    }
  }

  @inline(__always)
  private func forEachFactor(
    _ body: (_ feature: Int, _ head: Int, _ token: Int, _ reach: Int) -> Void
  ) {
    for feature in 0..<settings.heads * settings.valueDimension {
      for (t, r) in owners.enumerated() { body(feature, feature / settings.valueDimension, t, r) }
    }
  }
}
