import Autodiff
import LinearAlgebra
import Testing

/// Convolutions and recurrences over sequences, compared with direct implementations of their formulas.
@Suite struct RecurrenceTests {
  /// y_τ = b + Σᵢ w[i] x_{τ−K+1+i}, for two consecutive sequences that do not see each other.
  @Test func convolution() {
    var generator = SeededGenerator(seed: 3)
    let x = generator.normalMatrix(rows: 7, columns: 3)
    let (w, b) = (
      generator.normalMatrix(rows: 3, columns: 4), generator.normalMatrix(rows: 1, columns: 3)
    )
    let y = sequenceConvolution(
      Variable(x), sequences: [0..<5, 5..<7],
      by: CausalConvolution(width: 4, weights: w.elements, bias: b.elements)
    ).value
    for (row, first) in zip(0..<7, [0, 0, 0, 0, 0, 5, 5]) {
      for c in 0..<3 {
        let seen = (0..<4).filter { row - 3 + $0 >= first }
        let expected = seen.reduce(b[0, c]) { $0 + w[c, $1] * x[row - 3 + $1, c] }
        #expect(abs(y[row, c] - expected) < 1e-14)
      }
    }
  }

  /// S_τ = exp(Δ A) ∘ S_{τ−1} + k δᵀ, y = Sᵀ q, with δ = v, and by the delta rule.
  ///
  /// Both sides round a few dozen terms of size 1.
  @Test(arguments: [false, true], [false, true]) func recurrence(
    isDelta: Bool, hasRatePerKey: Bool
  ) {
    var generator = SeededGenerator(seed: 4)
    let (heads, groups, n, p) = (4, 2, 3, 2)
    let make = { (columns: Int) in generator.normalMatrix(rows: 9, columns: columns) }
    let (q, k, v) = (make(groups * n), make(groups * n), make(heads * p))
    let (Δ, β) = (make(heads), make(heads))
    let rates = generator.normalMatrix(rows: 1, columns: hasRatePerKey ? heads * n : heads).elements
    let inputs = RecurrenceInputs(
      queries: Variable(q), keys: Variable(k), values: Variable(v), steps: Variable(Δ),
      strengths: isDelta ? Variable(β) : nil)
    let settings = RecurrenceSettings(
      heads: heads, groups: groups, keyDimension: n, valueDimension: p, rates: rates)
    let sequences = [0..<4, 4..<9]
    let y = sequenceRecurrence(
      sequences.map { RecurrenceCache(inputs, rows: $0) }, settings
    ).value
    for (rows, h) in product(sequences, 0..<heads) {
      var state = Matrix<Double>(rows: n, columns: p)
      let group = h / (heads / groups) * n
      for t in rows {
        for i in 0..<n {
          let a = Double.exp(Δ[t, h] * rates[hasRatePerKey ? h * n + i : h])
          for j in 0..<p { state[i, j] *= a }
        }
        for j in 0..<p {
          var change = v[t, h * p + j]
          if isDelta {
            change -= (0..<n).reduce(0) { $0 + state[$1, j] * k[t, group + $1] }
            change *= β[t, h]
          }
          for i in 0..<n { state[i, j] += k[t, group + i] * change }
          let expected = (0..<n).reduce(0) { $0 + state[$1, j] * q[t, group + $1] }
          #expect(abs(y[t, h * p + j] - expected) < 1e-12 * (1 + abs(expected)))
        }
      }
    }
  }

  /// At a target, the recurrence of selected tokens equals that of the whole sequence to the bit.
  @Test func selectionKeepsTheValue() {
    var generator = SeededGenerator(seed: 5)
    let make = { (columns: Int) in Variable(generator.normalMatrix(rows: 8, columns: columns)) }
    let inputs = RecurrenceInputs(
      queries: make(6), keys: make(6), values: make(8), steps: make(4), strengths: make(4))
    let settings = RecurrenceSettings(
      heads: 4, groups: 2, keyDimension: 3, valueDimension: 2, rates: [-1, -0.1, -2, 0.1])
    let cache = RecurrenceCache(inputs, rows: 0..<8)
    let whole = sequenceRecurrence([cache], settings).value
    let reaches = [(0, 7), (3, 3), (2, 4), (5, 1)].map {
      TokenReach(source: $0, target: $1, width: 2)
    }
    let tokens = reaches.flatMap(\.tokens)
    let selected = selectedRecurrence(
      RecurrenceInputs(
        queries: inputs.queries.rows(reaches.map { $0.tokens.last! }),
        keys: inputs.keys.rows(tokens), values: inputs.values.rows(tokens),
        steps: inputs.steps.rows(tokens), strengths: inputs.strengths!.rows(tokens)),
      reaches: reaches, caches: reaches.map { _ in cache }, settings
    ).value
    for (r, reach) in reaches.enumerated() {
      #expect(Array(selected.row(r)) == Array(whole.row(reach.tokens.last!)))
    }
  }
}

private func product<A, B>(_ a: some Sequence<A>, _ b: some Collection<B>) -> [(A, B)] {
  a.flatMap { x in b.map { (x, $0) } }
}
