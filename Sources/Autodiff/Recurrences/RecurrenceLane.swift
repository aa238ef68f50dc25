import LinearAlgebra

/// The memory of the tangents (or cotangents) of a recurrence's inputs and outputs; nil for constants.
struct RecurrenceRows<Scalar: RealScalar> {
  let queries, keys, values, steps, strengths: UnsafeMutablePointer<Scalar>?
  let outputs: UnsafeMutablePointer<Scalar>
  /// The number of rows of the inputs, and of the queries and outputs.
  let tokens, targets: Int
  /// b, the number of vectors of an application.
  let vectors: Int

  /// The part of head h at a row of the inputs and a row of the outputs; either may be nil.
  @inline(__always)
  func at(_ h: Int, _ settings: RecurrenceSettings, row: Int?, output: Int?) -> RecurrenceRow<
    Scalar
  > {
    let (n, p, group) = (settings.keyDimension, settings.valueDimension, settings.group(of: h))
    let input = { (base: UnsafeMutablePointer<Scalar>?, feature: Int) in
      row.flatMap { row in base.map { $0 + (feature * tokens + row) * vectors } }
    }
    return RecurrenceRow(
      query: output.flatMap { output in
        queries.map { $0 + (group * n * targets + output) * vectors }
      }, key: input(keys, group * n), value: input(values, h * p), step: input(steps, h),
      strength: input(strengths, h),
      output: output.map { outputs + (h * p * targets + $0) * vectors },
      inputStride: tokens * vectors, outputStride: targets * vectors)
  }
}

/// One head's tangents (or cotangents) at one token; consecutive features are a stride apart.
struct RecurrenceRow<Scalar: RealScalar> {
  let query, key, value, step, strength, output: UnsafeMutablePointer<Scalar>?
  let inputStride, outputStride: Int
}

/// The primal values of one step of the recurrence.
struct TokenRecord<Scalar: RealScalar> {
  /// S̃ᵀ (values, keys), if it is needed.
  let state: UnsafeMutablePointer<Scalar>
  /// k, exp(Δ A) and q (keys).
  let key, factors, query: UnsafeMutablePointer<Scalar>
  /// δ, and v − S̃ᵀ k (values).
  let change, error: UnsafeMutablePointer<Scalar>
  /// The strength β.
  let strength: UnsafeMutablePointer<Scalar>

  static func count(_ n: Int, _ p: Int) -> Int { p * n + 3 * n + 2 * p + 1 }

  init(_ base: UnsafeMutablePointer<Scalar>, _ n: Int, _ p: Int) {
    state = base
    key = base + p * n
    (factors, query, change) = (key + n, key + 2 * n, key + 3 * n)
    (error, strength) = (change + p, change + 2 * p)
  }
}

/// The computation of one head for up to eight vectors, on one thread.
struct RecurrenceLane<Scalar: RealScalar> {
  private typealias Eight = SIMD8<Scalar>

  /// n and p, the number of key and value features.
  private let keyCount, valueCount: Int
  private let settings: RecurrenceSettings
  private let head: RecurrentHead<Scalar>
  private let vectors: Range<Int>
  /// The tangent, or the cotangent, of Sᵀ (values, keys, 8).
  private let state: UnsafeMutablePointer<Scalar>
  /// The tangents, or the cotangents, of k and q (keys, 8).
  private let keys, queries: UnsafeMutablePointer<Scalar>
  /// A of the head, by key feature.
  private let rates: UnsafeMutablePointer<Scalar>
  private let records: UnsafeMutablePointer<Scalar>

  /// The size of a lane's memory, in numbers.
  static func count(_ settings: RecurrenceSettings) -> Int {
    let (n, p) = (settings.keyDimension, settings.valueDimension)
    return (p * n + 2 * n) * RecurrenceScan<Scalar>.width + n
      + RecurrenceScan<Scalar>.segmentLength * TokenRecord<Scalar>.count(n, p)
  }

  init(
    _ settings: RecurrenceSettings, _ head: RecurrentHead<Scalar>,
    _ memory: UnsafeMutablePointer<Scalar>, vectors: Range<Int>
  ) {
    (self.settings, self.head, self.vectors) = (settings, head, vectors)
    (keyCount, valueCount) = (settings.keyDimension, settings.valueDimension)
    let size = keyCount * RecurrenceScan<Scalar>.width
    state = memory
    keys = memory + valueCount * size
    queries = keys + size
    rates = queries + size
    records = rates + keyCount
  }

  /// The record of token number i of a segment.
  func record(_ i: Int) -> TokenRecord<Scalar> {
    TokenRecord(
      records + i * TokenRecord<Scalar>.count(keyCount, valueCount), keyCount, valueCount)
  }

  /// Switches to head h of a sequence, with a tangent of 0.
  func begin(_ h: Int, of cache: RecurrenceCache<Scalar>) {
    head.move(to: h, of: cache)
    for i in 0..<keyCount { rates[i] = Scalar(settings.rate(h, i)) }
    let count = valueCount * keyCount * RecurrenceScan<Scalar>.width
    state.update(repeating: 0, count: count)
  }

  /// Sets the state before a token to Sᵀ (values, keys).
  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func restore(_ kept: UnsafePointer<Scalar>) {
    for i in 0..<valueCount * keyCount { head.state.base[i] = Double(kept[i]) }
  }

  /// Fills the record of a token, in the program's precision; with states, also takes the step.
  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func read(_ token: Int, withStates: Bool, asks: Bool, into record: TokenRecord<Scalar>) {
    if withStates {
      head.decay(at: token)
      copy(head.state, valueCount * keyCount, record.state)
      copy(head.change, valueCount, record.change)
      copy(head.error, valueCount, record.error)
      head.update()
    } else {
      head.load(token)
    }
    copy(head.key, keyCount, record.key)
    copy(head.factors, keyCount, record.factors)
    record.strength[0] = Scalar(head.strength)
    guard asks else { return }
    head.ask()
    copy(head.query, keyCount, record.query)
  }

  @inline(__always)
  private func copy(_ x: Buffer<Double>, _ count: Int, _ y: UnsafeMutablePointer<Scalar>) {
    for i in 0..<count { y[i] = Scalar(x.base[i]) }
  }

  /// Advances dS from the previous token to this one, and writes dy if the token is a target.
  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func advance(_ token: TokenRecord<Scalar>, isDelta: Bool, _ row: RecurrenceRow<Scalar>) {
    let (hasKey, hasStep, hasQuery) = (row.key != nil, row.step != nil, row.query != nil)
    take(row.key, row.inputStride, into: keys)
    take(row.query, row.outputStride, into: queries)
    let (dΔ, dβ) = (row.step.map(taken) ?? Eight(), row.strength.map(taken) ?? Eight())
    // k · dq
    var read = Eight()
    if hasQuery { for i in 0..<keyCount { read += token.key[i] * load(queries, i) } }
    for f in 0..<valueCount {
      let (tangent, state) = (
        self.state + f * keyCount * RecurrenceScan<Scalar>.width, token.state + f * keyCount
      )
      var change = row.value.map { taken($0 + f * row.inputStride) } ?? Eight()
      if isDelta {
        var sum = Eight()
        for i in 0..<keyCount {
          var x = token.factors[i] * load(tangent, i)
          if hasStep { x += (rates[i] * state[i]) * dΔ }
          if hasKey { sum += state[i] * load(keys, i) }
          sum += token.key[i] * x
          store(x, tangent, i)
        }
        change = token.strength[0] * (change - sum)
        if row.strength != nil { change += token.error[f] * dβ }
      }
      var y = Eight()
      for i in 0..<keyCount {
        var x = load(tangent, i)
        if !isDelta {
          x *= token.factors[i]
          if hasStep { x += (rates[i] * state[i]) * dΔ }
        }
        x += token.key[i] * change
        if hasKey { x += token.change[f] * load(keys, i) }
        if row.output != nil { y += token.query[i] * x }
        if hasQuery { y += state[i] * load(queries, i) }
        store(x, tangent, i)
      }
      if hasQuery { y += token.change[f] * read }
      if let output = row.output { put(y, output + f * row.outputStride) }
    }
  }

  /// Carries S̄ from this token to the previous one, reading ȳ if the token is a target, and adds to the cotangents
  /// of the inputs.
  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func retreat(_ token: TokenRecord<Scalar>, isDelta: Bool, _ row: RecurrenceRow<Scalar>) {
    let (hasKey, hasStep, hasQuery) = (row.key != nil, row.step != nil, row.query != nil)
    if hasKey { clear(keys) }
    if hasQuery { clear(queries) }
    // Δ̄, β̄, and δ · ȳ
    var (step, strength, read) = (Eight(), Eight(), Eight())
    for f in 0..<valueCount {
      let (cotangent, state) = (
        self.state + f * keyCount * RecurrenceScan<Scalar>.width, token.state + f * keyCount
      )
      let y = row.output.map { taken($0 + f * row.outputStride) } ?? Eight()
      if hasQuery { read += token.change[f] * y }
      var change = Eight()
      for i in 0..<keyCount {
        var x = load(cotangent, i)
        if row.output != nil { x += token.query[i] * y }
        if hasQuery { add(state[i] * y, queries, i) }
        if hasKey { add(token.change[f] * x, keys, i) }
        change += token.key[i] * x
        if !isDelta {
          if hasStep { step += (rates[i] * state[i]) * x }
          x *= token.factors[i]
        }
        store(x, cotangent, i)
      }
      if isDelta {
        if row.strength != nil { strength += token.error[f] * change }
        change *= token.strength[0]
        for i in 0..<keyCount {
          var x = load(cotangent, i) - token.key[i] * change
          if hasKey { add(-state[i] * change, keys, i) }
          if hasStep { step += (rates[i] * state[i]) * x }
          x *= token.factors[i]
          store(x, cotangent, i)
        }
      }
      if let value = row.value { give(change, value + f * row.inputStride) }
    }
    if hasQuery { for i in 0..<keyCount { add(token.key[i] * read, queries, i) } }
    if let key = row.key {
      for i in 0..<keyCount { give(load(keys, i), key + i * row.inputStride) }
    }
    if let query = row.query {
      for i in 0..<keyCount { give(load(queries, i), query + i * row.outputStride) }
    }
    if let target = row.step { give(step, target) }
    if let target = row.strength { give(strength, target) }
  }

  // MARK: conversion between eight vectors in a lane's memory and the b vectors of an application

  @inline(__always)
  private func load(_ x: UnsafeMutablePointer<Scalar>, _ i: Int) -> Eight {
    UnsafeRawPointer(x + 8 * i).loadUnaligned(as: Eight.self)
  }

  @inline(__always)
  private func store(_ value: Eight, _ x: UnsafeMutablePointer<Scalar>, _ i: Int) {
    UnsafeMutableRawPointer(x + 8 * i).storeBytes(of: value, as: Eight.self)
  }

  @inline(__always)
  private func add(_ value: Eight, _ x: UnsafeMutablePointer<Scalar>, _ i: Int) {
    store(load(x, i) + value, x, i)
  }

  private func clear(_ x: UnsafeMutablePointer<Scalar>) {
    x.update(repeating: 0, count: 8 * keyCount)
  }

  @inline(__always)
  private func taken(_ x: UnsafeMutablePointer<Scalar>) -> Eight {
    if vectors.count == 8 { return load(x + vectors.lowerBound, 0) }
    var value = Eight()
    for (lane, j) in vectors.enumerated() { value[lane] = x[j] }
    return value
  }

  @inline(__always)
  private func take(
    _ x: UnsafeMutablePointer<Scalar>?, _ stride: Int, into y: UnsafeMutablePointer<Scalar>
  ) {
    guard let x else { return }
    for i in 0..<keyCount { store(taken(x + i * stride), y, i) }
  }

  @inline(__always)
  private func put(_ value: Eight, _ x: UnsafeMutablePointer<Scalar>) {
    if vectors.count == 8 { return store(value, x + vectors.lowerBound, 0) }
    for (lane, j) in vectors.enumerated() { x[j] = value[lane] }
  }

  @inline(__always)
  private func give(_ value: Eight, _ x: UnsafeMutablePointer<Scalar>) {
    put(taken(x) + value, x)
  }
}
