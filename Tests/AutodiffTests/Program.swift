import Weights
import Autodiff
import LinearAlgebra
import Testing

/// A program for every primitive and a few compositions, written once for both precisions.
enum Program: Hashable, Sendable, CustomTestStringConvertible {
  case identity, independent, linear, linearTransposed, sums, gainAndShift, frozenFactor, gather
  case joined
  case rows, rmsNorm, rmsNormGroups, layerNorm, layerNormGroups, softmax
  case rotarySplit, rotaryInterleaved, gatedUnit
  case activation(Activation)
  case attention(String, softCap: Bool)
  case contextAttention
  /// Attention with sinks and values of another size than keys.
  case sinkAttention(String)
  /// Attention with several active tokens in each of two sequences.
  case mixingAttention(String)
  /// A recurrence, by the delta rule if the inputs include strengths "β"; those before the slash are active.
  case recurrence(String)
  /// The same with several sources and targets per reach.
  case wideRecurrence(String)

  static let all: [Program] =
    plain + activations + attentions + ["qkv", "q", "kv"].map { .sinkAttention($0) }
    + ["qkv", "kv", "v"].map { .mixingAttention($0) }
    + ["qkvΔ", "qkvΔβ", "qv/kΔβ", "kΔ/qv", "β/qkvΔ"].map { .recurrence($0) }
    + ["qkvΔ", "qkvΔβ", "v/qkΔ", "v/qkΔβ", "kΔ/qv", "qβ/kvΔ"].map { .wideRecurrence($0) }

  private static let plain: [Program] = [
    .identity, .independent, .linear, .linearTransposed, .sums, .gainAndShift, .frozenFactor,
    .gather, .joined, .rows, .rmsNorm, .rmsNormGroups, .layerNorm, .layerNormGroups, .softmax,
    .rotarySplit,
    .rotaryInterleaved, .gatedUnit, .contextAttention,
  ]
  private static let activations = [
    .silu, .gelu, .geluTanh, .quickGELU, .relu, .reluSquared, .tanh, .logistic, .softplus,
    .xielu(XIELU(storedPositive: 0.2, storedNegative: -1.1, slope: 0.4, limit: -0.3)),
  ].map { Program.activation($0) }
  private static let attentions = ["qkv", "q", "kv", "v"].flatMap { active -> [Program] in
    [.attention(active, softCap: false), .attention(active, softCap: true)]
  }

  var testDescription: String { "\(self)" }

  /// The number of features of x.
  var columns: Int {
    switch self {
    case .attention, .sinkAttention, .mixingAttention, .recurrence, .wideRecurrence: 32
    default: 12
    }
  }

  /// A generic point of `rows` rows.
  func point(rows: Int, seed: UInt64) -> Matrix<Double> {
    var generator = SeededGenerator(seed: seed)
    return generator.normalMatrix(rows: rows, columns: columns)
  }

  /// The program's value at x; `fixed` is the point of linearization, for inputs that are held.
  func callAsFunction<S: RealScalar>(_ x: Variable<S>, fixed: Variable<S>) -> Variable<S> {
    let n = columns
    switch self {
    case .identity: return x
    case .independent: return fixed
    case .linear: return x.linear(weights(9, n, seed: 1), bias: numbers(9, seed: 2))
    case .linearTransposed: return x.linear(weights(n, 5, seed: 1), transposed: true)
    case .sums: return x + 3 * x - x * x
    case .gainAndShift: return x.scaled(by: numbers(n, seed: 3)).adding(numbers(n, seed: 4))
    case .frozenFactor: return x.activated(by: .silu) * fixed - fixed
    case .gather: return x.gather(columns: [4, 0, 0, 11]) * x.columns(2..<6)
    case .joined:
      // One part twice, and one that is constant.
      let part = x.columns(0..<3)
      let all = Variable.joined([part, x, fixed.columns(0..<2), part])
      return all * all
    case .rows:
      // The last row twice, the first one possibly not at all, and placed elsewhere.
      let last = x.rows - 1
      let taken = x.rows([last, x.rows / 2, last])
      return (taken * taken).scatter(to: [0, last, x.rows / 2], of: x.rows) + x
    case .rmsNorm: return x.rmsNorm(gain: numbers(n, seed: 4), epsilon: 1e-5)
    case .rmsNormGroups: return x.rmsNorm(gain: numbers(n / 3, seed: 4), epsilon: 1e-5, groups: 3)
    case .layerNorm:
      return x.layerNorm(gain: numbers(n, seed: 4), bias: numbers(n, seed: 5), epsilon: 1e-5)
    case .layerNormGroups: return x.layerNorm(gain: nil, bias: nil, epsilon: 1e-5, groups: 2)
    case .softmax: return x.softmax()
    case .rotarySplit, .rotaryInterleaved:
      let angles = RotaryAngles<S>(
        positions: (0..<x.rows).map { 3 + 2 * $0 }, frequencies: [1, 0.3],
        pairing: self == .rotarySplit ? .split : .interleaved, scale: 1.2)
      return x.rotated(by: angles, heads: 2)
    case .gatedUnit:
      return x.linear(weights(8, n, seed: 1)).activated(by: .silu)
        * x.linear(weights(8, n, seed: 2))
    case .activation(let φ): return x.activated(by: φ)
    case .attention(let active, let softCap):
      return attention(
        x, fixed, active, sizes: (4, 4),
        AttentionSettings(
          heads: 4, keyValueHeads: 2, headDimension: 4, scale: 0.5, softCap: softCap ? 2 : nil,
          visible: { q, _ in max(0, q - 3)..<q + 1 },
          bias: { h, q, k in Double(h + 1) * Double(k - q) / 10 }))
    case .sinkAttention(let active):
      // 4 · 5 + 2 · 5 + 2 · 1 = 32. The first head's sink takes almost nothing, the last one's almost all.
      return attention(
        x, fixed, active, sizes: (5, 1),
        AttentionSettings(
          heads: 4, keyValueHeads: 2, headDimension: 5, valueDimension: 1, scale: 0.5,
          sinks: [-9, 0, 1.5, 9]))
    case .mixingAttention(let active): return mixingAttention(x, fixed, active)
    case .recurrence(let inputs):
      // One source is the target, one is near it, and one is so far away that its own tokens do not reach it.
      return recurrence(
        x, fixed, inputs,
        (0..<x.rows).map { TokenReach(source: [1, 5, 4][$0 % 3], target: 5, width: 3) })
    case .wideRecurrence(let inputs):
      // Targets before, among and after the sources, and tokens in between that nothing reaches; if there are several
      // rows, the last one has a second reach.
      let wide = x.rows < 3 ? x.rows : x.rows - 1
      let first = TokenReach(
        sources: Array([3, 4, 20].prefix(wide)), targets: [0, 4, 5, 12, 21], width: 3)
      let second = TokenReach(sources: [6], targets: [6, 24], width: 3)
      return recurrence(x, fixed, inputs, x.rows < 3 ? [first] : [first, second])
    case .contextAttention:
      let settings = AttentionSettings(
        heads: 4, keyValueHeads: 2, headDimension: 3, scale: 1, visible: { _, count in 0..<count })
      let context = KeyValueCache<S>(
        keys: Variable(matrix(5, 6, seed: 1)), values: Variable(matrix(5, 6, seed: 2)),
        settings: settings)
      return selectedAttention(
        queries: x, keys: nil, values: nil,
        rows: (0..<x.rows).map { AttentionRow(cache: context, sources: .none, target: $0) },
        settings: settings)
    }
  }

  /// 4 query heads and 2 key-value heads of these features: x (rows, 32) contains query, key and value; those not
  /// named in `active` are constants.
  private func attention<S: RealScalar>(
    _ x: Variable<S>, _ fixed: Variable<S>, _ active: String, sizes: (key: Int, value: Int),
    _ settings: AttentionSettings
  ) -> Variable<S> {
    let (keys, values) = (2 * sizes.key, 2 * sizes.value)
    let part = { (name: Character, range: Range<Int>) in
      (active.contains(name) ? x : fixed).columns(range)
    }
    let (q, k, v) = (
      part("q", 0..<2 * keys), part("k", 2 * keys..<3 * keys),
      part("v", 3 * keys..<3 * keys + values)
    )
    let rows = (0..<x.rows).map { r -> AttentionRow<S> in
      let (source, target) = (r % 2 == 0 ? 4 : 3, 4)
      // The primal of the active token comes from the cache.
      let all = { (own: Variable<S>, seed: Int) -> Variable<S> in
        var tokens: Matrix<S> = matrix(5, own.columns, seed: UInt64(seed + r))
        let start = source * own.columns
        tokens.elements.replaceSubrange(start..<start + own.columns, with: own.value.row(r))
        return Variable(tokens)
      }
      return AttentionRow(
        cache: KeyValueCache(keys: all(k, 10), values: all(v, 20), settings: settings),
        sources: ActiveTokens([source], firstRow: r), target: target)
    }
    return selectedAttention(queries: q, keys: k, values: v, rows: rows, settings: settings)
  }

  /// 4 query heads and 2 key-value heads of 4 features. The last row of x is a token of a sequence of its own, the
  /// others are tokens of another sequence, some of them neighbours; the last token of each sequence is also a
  /// target, with its row's query.
  private func mixingAttention<S: RealScalar>(
    _ x: Variable<S>, _ fixed: Variable<S>, _ active: String
  ) -> Variable<S> {
    let settings = AttentionSettings(
      heads: 4, keyValueHeads: 2, headDimension: 4, scale: 0.5,
      visible: { q, _ in max(0, q - 3)..<q + 1 })
    let part = { (name: Character, range: Range<Int>) in
      (active.contains(name) ? x : fixed).columns(range)
    }
    let (q, k, v) = (part("q", 0..<16), part("k", 16..<24), part("v", 24..<32))
    let sequences = [0..<max(1, x.rows - 1), max(1, x.rows - 1)..<x.rows]
    var (picks, rows): ([Int], [AttentionRow<S>]) = ([], [])
    for (s, members) in sequences.enumerated() where !members.isEmpty {
      // 0, 1, 3, 4, …
      let tokens = members.indices.map { ($0 - members.lowerBound) * 3 / 2 }
      let all = { (own: Variable<S>, seed: Int) -> Variable<S> in
        var values: Matrix<S> = matrix(6, own.columns, seed: UInt64(seed + s))
        for (row, token) in zip(members, tokens) {
          let start = token * own.columns
          values.elements.replaceSubrange(start..<start + own.columns, with: own.value.row(row))
        }
        return Variable(values)
      }
      let cache = KeyValueCache(keys: all(k, 10), values: all(v, 20), settings: settings)
      let sources = ActiveTokens(tokens, firstRow: members.lowerBound)
      picks += Array(members) + [members.upperBound - 1]
      rows += (tokens + [5]).map { AttentionRow(cache: cache, sources: sources, target: $0) }
    }
    return selectedAttention(
      queries: q.rows(picks), keys: k, values: v, rows: rows, settings: settings)
  }

  /// 4 heads with two values each, in two groups of queries and keys of 4; one rate per head with the delta rule, one
  /// per head and key without. The inputs are convolved first, so that a source reaches three tokens.
  private func recurrence<S: RealScalar>(
    _ x: Variable<S>, _ fixed: Variable<S>, _ inputs: String, _ reaches: [TokenReach]
  ) -> Variable<S> {
    let isDelta = inputs.contains("β")
    let count = reaches.reduce(0) { max($0, $1.tokens.last!) } + 2
    let settings = RecurrenceSettings(
      heads: 4, groups: 2, keyDimension: 4, valueDimension: 2,
      rates: numbers(isDelta ? 4 : 16, seed: 1).map { (a: Double) in -a / 2 })
    let part = { (name: Character, range: Range<Int>) -> [Variable<S>] in
      let own = (inputs.prefix { $0 != "/" }.contains(name) ? x : fixed).columns(range)
      let convolution = CausalConvolution<S>(
        width: 3, weights: numbers(3 * own.columns, seed: UInt64(range.lowerBound)),
        bias: numbers(own.columns, seed: 2))
      var row = 0
      let sequences = reaches.map { reach -> Variable<S> in
        // The primal of the sources comes from the sequence.
        var tokens: Matrix<S> = matrix(count, own.columns, seed: UInt64(range.lowerBound + row))
        for source in reach.sources {
          let start = source * own.columns
          tokens.elements.replaceSubrange(start..<start + own.columns, with: own.value.row(row))
          row += 1
        }
        return Variable(tokens)
      }
      let reached = selectedConvolution(
        own, reaches: reaches, sequences: sequences.map { TokenFeatures($0, rows: 0..<count) },
        by: convolution)
      let whole = sequences.map {
        sequenceConvolution($0, sequences: [0..<count], by: convolution)
      }
      let φ = (["Δ": .softplus, "β": .logistic] as [Character: Activation])[name] ?? .tanh
      return ([reached] + whole).map { $0.activated(by: φ) }
    }
    let (q, k, v) = (part("q", 0..<8), part("k", 8..<16), part("v", 16..<24))
    let (Δ, β) = (part("Δ", 24..<28), isDelta ? part("β", 28..<32) : nil)
    let all = (0...reaches.count).map {
      RecurrenceInputs(queries: q[$0], keys: k[$0], values: v[$0], steps: Δ[$0], strengths: β?[$0])
    }
    var (first, start) = (all[0], 0)
    first.queries = first.queries.rows(
      reaches.flatMap { reach in
        defer { start += reach.tokens.count }
        return reach.targetPlaces.map { start + $0 }
      })
    return selectedRecurrence(
      first, reaches: reaches,
      caches: all.dropFirst().map { RecurrenceCache($0, rows: 0..<count) }, settings)
  }

  /// f linearized at a point.
  func linearized<S: RealScalar>(at x: Matrix<S>) -> Linearization<S> {
    let fixed = Variable(x)
    return linearize({ self($0, fixed: fixed) }, at: x)
  }
}

private func matrix<S: RealScalar>(_ m: Int, _ n: Int, seed: UInt64) -> Matrix<S> {
  var generator = SeededGenerator(seed: seed)
  return generator.normalMatrix(rows: m, columns: n).converted(to: S.self)
}

/// Stored in double precision, whatever precision the program runs in.
private func weights(_ m: Int, _ n: Int, seed: UInt64) -> StoredMatrix {
  StoredMatrix(matrix(m, n, seed: seed) as Matrix<Double>)
}

private func numbers<S: RealScalar>(_ n: Int, seed: UInt64) -> [S] {
  var generator = SeededGenerator(seed: seed)
  return (0..<n).map { _ in S(1 + generator.normal() / 2) }
}
