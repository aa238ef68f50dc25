import LinearAlgebra

/// The state of one head as it runs through a sequence, in double precision: an error of the state persists for as
/// long as the state's memory.
final class RecurrentHead<Scalar: RealScalar> {
  let settings: RecurrenceSettings
  private var inputs: RecurrenceInputs<Scalar>
  private var first: Int
  private var head: Int
  /// Sᵀ (values, keys), or S̃ᵀ between `decay` and `update`.
  let state: Buffer<Double>
  /// k, exp(Δ A) and q of the current token (keys).
  let key, factors, query: Buffer<Double>
  /// δ, and v − S̃ᵀ k or v (values).
  let change, error: Buffer<Double>
  /// β; 1 without the delta rule.
  private(set) var strength = 1.0
  private var token = 0

  init(_ settings: RecurrenceSettings, _ cache: RecurrenceCache<Scalar>, head: Int) {
    (self.settings, inputs, self.head) = (settings, cache.inputs, head)
    first = cache.rows.lowerBound
    let (n, p) = (settings.keyDimension, settings.valueDimension)
    state = Buffer(count: p * n)
    state.base.update(repeating: 0, count: p * n)
    (key, factors, query) = (Buffer(count: n), Buffer(count: n), Buffer(count: n))
    (change, error) = (Buffer(count: p), Buffer(count: p))
  }

  /// Switches to another head, possibly of another sequence, and leaves the state as it is.
  func move(to head: Int, of cache: RecurrenceCache<Scalar>) {
    (self.head, inputs, first) = (head, cache.inputs, cache.rows.lowerBound)
  }

  /// Whether the update follows the delta rule.
  var isDelta: Bool { inputs.strengths != nil }

  private func load(_ x: Variable<Scalar>, _ start: Int, _ count: Int, into y: Buffer<Double>) {
    for i in 0..<count {
      y.base[i] = Double(x.buffer.base[(start + i) * x.rows + first + token])
    }
  }

  /// Makes `token` the current one.
  func load(_ token: Int) {
    self.token = token
    let n = settings.keyDimension
    load(inputs.keys, settings.group(of: head) * n, n, into: key)
    let step = number(inputs.steps)
    for i in 0..<n {
      factors.base[i] =
        i > 0 && settings.rates.count == settings.heads
        ? factors.base[0] : Double.exp(step * settings.rate(head, i))
    }
    if let strengths = inputs.strengths { strength = number(strengths) }
  }

  private func number(_ x: Variable<Scalar>) -> Double {
    Double(x.buffer.base[head * x.rows + first + token])
  }

  /// S ← S̃ of a token; computes δ.
  func decay(at token: Int) {
    load(token)
    let (n, p) = (settings.keyDimension, settings.valueDimension)
    load(inputs.values, head * p, p, into: error)
    for i in 0..<p {
      let row = state.base + i * n
      for j in 0..<n { row[j] *= factors.base[j] }
      if isDelta { error.base[i] -= dot(row, key.base, n) }
      change.base[i] = strength * error.base[i]
    }
  }

  /// S̃ ← S̃ + k δᵀ, the token's S.
  func update() {
    let n = settings.keyDimension
    for i in 0..<settings.valueDimension {
      axpy(change.base[i], key.base, state.base + i * n, n, true)
    }
  }

  /// Loads the token's query for `output`.
  func ask() {
    let n = settings.keyDimension
    load(inputs.queries, settings.group(of: head) * n, n, into: query)
  }

  /// Feature i of the token's y.
  func output(_ i: Int) -> Double {
    let n = settings.keyDimension
    return dot(state.base + i * n, query.base, n)
  }

  /// The vectors r_τ (tokens, keys) by which the output at the last of the tokens reads a change of the state at each
  /// of them, dy = dS_τᵀ r_τ: at the last token the query, before it r_{τ−1} = exp(Δ_τ A) ∘ (r_τ − β_τ (k_τ · r_τ)
  /// k_τ), where the subtracted term belongs to the delta rule.
  func carriedBack(_ tokens: [Int]) -> Buffer<Double> {
    let n = settings.keyDimension
    let readings = Buffer<Double>(count: tokens.count * n)
    var j = tokens.count - 1
    token = tokens[j]
    load(inputs.queries, settings.group(of: head) * n, n, into: query)
    for token in (tokens[0]...tokens[j]).reversed() {
      if tokens[j] == token {
        (readings.base + j * n).update(from: query.base, count: n)
        j -= 1
        if j < 0 { break }
      }
      load(token)
      if isDelta { axpy(-strength * dot(key.base, query.base, n), key.base, query.base, n, true) }
      for i in 0..<n { query.base[i] *= factors.base[i] }
    }
    return readings
  }
}

/// The dot product x · y.
@inline(__always)
func dot(_ x: UnsafePointer<Double>, _ y: UnsafePointer<Double>, _ count: Int) -> Double {
  var sums = SIMD8<Double>()
  var i = 0
  while i + 8 <= count {
    sums +=
      UnsafeRawPointer(x + i).loadUnaligned(as: SIMD8<Double>.self)
      * UnsafeRawPointer(y + i).loadUnaligned(as: SIMD8<Double>.self)
    i += 8
  }
  var sum = sums.sum()
  while i < count {
    sum += x[i] * y[i]
    i += 1
  }
  return sum
}
