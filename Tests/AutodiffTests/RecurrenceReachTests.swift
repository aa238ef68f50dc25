import Autodiff
import LinearAlgebra
import Testing
import Weights

/// Recurrences after convolutions from some tokens to some others, compared with whole sequences and with narrower
/// reaches.
@Suite struct RecurrenceReachTests {
  /// The number of tokens, more than a scan saves one state for.
  private static let count = 20
  private static let all = Array(0..<count)
  /// The sources and targets: all to all, all to one, one to some, gaps before, between and after, targets before the
  /// sources.
  static let reaches = [
    TokenReach(sources: all, targets: all, width: 3),
    TokenReach(sources: all, targets: [19], width: 3),
    TokenReach(sources: [3], targets: [2, 3, 5, 18], width: 3),
    TokenReach(sources: [5, 9], targets: [2, 7, 9, 12], width: 3),
    TokenReach(sources: [0, 1, 2, 12, 19], targets: [17, 18, 19], width: 3),
    TokenReach(sources: [10, 12], targets: [3, 9], width: 3),
  ]

  /// A mixer of 4 heads whose queries, keys and values are convolved features of x (tokens, 32), and whose steps and
  /// strengths are features without convolution.
  struct Mixer<S: RealScalar>: Sendable {
    let isDelta: Bool
    let ratesPerKey: Bool

    var settings: RecurrenceSettings {
      var generator = SeededGenerator(seed: 1)
      return RecurrenceSettings(
        heads: 4, groups: 2, keyDimension: 4, valueDimension: 2,
        rates: (0..<(ratesPerKey ? 16 : 4)).map { _ in -generator.uniform() })
    }

    var convolution: CausalConvolution<S> {
      var generator = SeededGenerator(seed: 2)
      return CausalConvolution(
        width: 3, weights: (0..<72).map { _ in S(generator.normal() / 2) })
    }

    private func inputs(_ mixed: Variable<S>, _ rates: Variable<S>) -> RecurrenceInputs<S> {
      let mixed = mixed.activated(by: .tanh)
      return RecurrenceInputs(
        queries: mixed.columns(0..<8), keys: mixed.columns(8..<16), values: mixed.columns(16..<24),
        steps: rates.columns(0..<4).activated(by: .softplus),
        strengths: isDelta ? rates.columns(4..<8).activated(by: .logistic) : nil)
    }

    func whole(_ x: Variable<S>, _ sequences: [Range<Int>]) -> [RecurrenceCache<S>] {
      let all = inputs(
        sequenceConvolution(x.columns(0..<24), sequences: sequences, by: convolution),
        x.columns(24..<32))
      return sequences.map { RecurrenceCache(all, rows: $0) }
    }

    /// Linearized at the sources of some reaches in the sequences contained in `x`.
    func linearized(
      _ x: Matrix<S>, _ sequences: [Range<Int>], _ reaches: [(sequence: Int, reach: TokenReach)]
    ) -> Linearization<S> {
      let tokens = Variable(x)
      let caches = whole(tokens, sequences)
      let rows = reaches.map { sequences[$0.sequence] }
      let sources = zip(rows, reaches).flatMap { rows, reach in
        reach.reach.sources.map { rows.lowerBound + $0 }
      }
      let picked = Matrix(
        rows: sources.count, columns: 32, elements: sources.flatMap { x.row($0) })
      let wide = reaches.map(\.reach)
      let spread = { (x: Variable<S>, range: Range<Int>, convolution: CausalConvolution<S>) in
        let features = tokens.columns(range)
        return selectedConvolution(
          x.columns(range), reaches: wide,
          sequences: rows.map { TokenFeatures(features, rows: $0) }, by: convolution)
      }
      return linearize(
        { x in
          var inputs = inputs(
            spread(x, 0..<24, convolution), spread(x, 24..<32, .identity(features: 8)))
          var start = 0
          inputs.queries = inputs.queries.rows(
            wide.flatMap { reach in
              defer { start += reach.tokens.count }
              return reach.targetPlaces.map { start + $0 }
            })
          return selectedRecurrence(
            inputs, reaches: wide, caches: reaches.map { caches[$0.sequence] }, settings)
        }, at: picked)
    }
  }

  private static func point(rows: Int = count) -> Matrix<Double> {
    var generator = SeededGenerator(seed: 7)
    return generator.normalMatrix(rows: rows, columns: 32)
  }

  /// J, column by column, against (f(X + h eᵢ) − f(X − h eᵢ)) / 2h of the whole sequence; the value equals that of
  /// the sequence.
  ///
  /// h = 6e-6 ≈ ε^⅓ balances rounding, ε |f| / h ≈ 4e-11 |f|, and truncation, h² |f‴| / 6 ≈ 6e-12 |f‴|, where |f‴| is
  /// at most a few thousand here.
  @Test(arguments: reaches, [(false, false), (false, true), (true, false)])
  func wholeSequence(reach: TokenReach, kind: (isDelta: Bool, ratesPerKey: Bool)) {
    let mixer = Mixer<Double>(isDelta: kind.isDelta, ratesPerKey: kind.ratesPerKey)
    let x = Self.point()
    let evaluated = { (x: Matrix<Double>) in
      let y = sequenceRecurrence(mixer.whole(Variable(x), [0..<x.rows]), mixer.settings).value
      return reach.targets.flatMap { y.row($0) }
    }
    let linearization = mixer.linearized(x, [0..<x.rows], [(0, reach)])
    #expect(zip(linearization.value.elements, evaluated(x)).allSatisfy { abs($0 - $1) < 1e-13 })
    let j = linearization.materialized()
    let h = 6e-6
    for (k, source) in reach.sources.enumerated() {
      for c in 0..<32 {
        let at = { (step: Double) in
          var moved = x
          moved[source, c] += step
          return evaluated(moved)
        }
        for (i, (up, down)) in zip(at(h), at(-h)).enumerated() {
          #expect(abs(j[i, k * 32 + c] - (up - down) / (2 * h)) < 1e-7)
        }
      }
    }
  }

  /// A wide reach contains the narrow ones from each source to each target, which take no steps through the sequence.
  ///
  /// Both compute the same products of a few dozen numbers of size 1 in another order.
  @Test(arguments: [false, true]) func partsOfAWideReach(isDelta: Bool) {
    let mixer = Mixer<Double>(isDelta: isDelta, ratesPerKey: false)
    let x = Self.point()
    let wide = TokenReach(sources: [0, 2, 3, 18], targets: [0, 3, 17, 19], width: 3)
    let whole = mixer.linearized(x, [0..<x.rows], [(0, wide)]).materialized()
    for (s, source) in wide.sources.enumerated() {
      for (t, target) in wide.targets.enumerated() {
        let part = mixer.linearized(
          x, [0..<x.rows], [(0, TokenReach(source: source, target: target, width: 3))]
        ).materialized()
        for i in 0..<8 {
          for j in 0..<32 { #expect(abs(whole[t * 8 + i, s * 32 + j] - part[i, j]) < 1e-13) }
        }
      }
    }
  }

  /// Several reaches, of the same sequence and of others, each give the same bits as alone.
  @Test(arguments: [false, true]) func reachesDoNotMix(isDelta: Bool) {
    let mixer = Mixer<Float>(isDelta: isDelta, ratesPerKey: !isDelta)
    let x = Self.point(rows: 25).converted(to: Float.self)
    let sequences = [0..<20, 20..<25]
    let reaches = [
      (0, Self.reaches[3]), (1, TokenReach(sources: [0, 1], targets: [1, 4], width: 3)),
      (0, Self.reaches[2]),
    ]
    let together = mixer.linearized(x, sequences, reaches)
    var generator = SeededGenerator(seed: 3)
    let v = generator.normalMatrix(rows: 11, columns: together.inputDimension)
    let u = generator.normalMatrix(rows: 11, columns: together.outputDimension)
    let (y, w) = (together.apply(v), together.applyAdjoint(u))
    var (input, output) = (0, 0)
    for reach in reaches {
      let alone = mixer.linearized(x, sequences, [reach])
      let (inputs, outputs) = (
        input..<input + alone.inputDimension, output..<output + alone.outputDimension
      )
      let part = { (m: Matrix<Double>, range: Range<Int>) in
        Matrix(
          rows: m.rows, columns: range.count,
          elements: (0..<m.rows).flatMap { Array(m.row($0))[range] })
      }
      #expect(alone.apply(part(v, inputs)) == part(y, outputs))
      #expect(alone.applyAdjoint(part(u, outputs)) == part(w, inputs))
      (input, output) = (inputs.upperBound, outputs.upperBound)
    }
  }

  /// Earlier tokens are not influenced at all.
  @Test(arguments: [false, true]) func nothingGoesBack(isDelta: Bool) {
    let mixer = Mixer<Double>(isDelta: isDelta, ratesPerKey: false)
    let x = Self.point()
    let whole = mixer.linearized(x, [0..<x.rows], [(0, Self.reaches[0])]).materialized()
    for target in 0..<x.rows {
      for source in target + 1..<max(target + 1, x.rows) {
        for i in 0..<8 {
          for j in 0..<32 { #expect(whole[target * 8 + i, source * 32 + j] == 0) }
        }
      }
    }
  }

  /// The result is the same to the bit for any number of threads.
  @Test(arguments: [false, true]) func threads(isDelta: Bool) {
    let mixer = Mixer<Float>(isDelta: isDelta, ratesPerKey: !isDelta)
    let x = Self.point().converted(to: Float.self)
    let products = [1, 2, 3].map { threads in
      Engine(threads: threads).use {
        let a = mixer.linearized(x, [0..<x.rows], [(0, Self.reaches[0])])
        var generator = SeededGenerator(seed: 5)
        return [
          a.apply(generator.normalMatrix(rows: 9, columns: a.inputDimension)),
          a.applyAdjoint(generator.normalMatrix(rows: 9, columns: a.outputDimension)),
        ]
      }
    }
    #expect(products[1] == products[0])
    #expect(products[2] == products[0])
  }
}
