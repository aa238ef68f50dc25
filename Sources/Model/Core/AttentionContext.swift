import Autodiff
import LinearAlgebra

/// From which token to which a Jacobian goes: positions in the prompt, from 0.
public struct TokenSelection: Hashable, Sendable, Codable {
  /// The input token t1.
  public let source: Int
  /// The output token t2.
  public let target: Int

  /// From one token to another, or to itself.
  public init(source: Int, target: Int) {
    self.source = source
    self.target = target
  }

  /// From a token to itself.
  public init(_ token: Int) { self.init(source: token, target: token) }
}

/// What the mixers of a block leave behind of one prompt's tokens, in the order in which they are run.
struct MixerCaches<Scalar: RealScalar> {
  /// One for each attention.
  var attentions: [KeyValueCache<Scalar>] = []
  /// One for each convolution.
  var convolutions: [TokenFeatures<Scalar>] = []
  /// One for each recurrence.
  var recurrences: [RecurrenceCache<Scalar>] = []
}

/// Which tokens the rows of a block's variables are, and hence what attention looks at.
///
/// With whole prompts the rows are their tokens, one prompt after another, and each attention leaves its keys and values
/// behind, each convolution and recurrence what goes into it. In a selection each row is one Jacobian: a query at the
/// target token, with the keys and values of all tokens but the source held constant.
public final class AttentionContext<Scalar: RealScalar> {
  enum Rows {
    case prompts([Range<Int>])
    case selection([(selection: TokenSelection, caches: MixerCaches<Scalar>)])
  }

  let rows: Rows
  /// What every prompt looks at besides its own tokens, if anything: an encoder's output.
  private let encoderOutputs: [Variable<Scalar>]
  /// For each prompt what an earlier block left behind, in a block that looks at its keys and values.
  private let earlier: [MixerCaches<Scalar>]
  /// What the block reads besides the stream at every row's target token, a constant, in models that have it.
  public let sideInput: Variable<Scalar>?
  /// Position of every row's source token.
  public let sourcePositions: [Int]
  /// Position of every row's target token.
  public let targetPositions: [Int]
  /// Tokens of every row's prompt.
  public let lengths: [Int]
  /// What the mixers so far left behind of each prompt.
  var caches: [MixerCaches<Scalar>] = []
  private var attentions = 0
  /// Convolutions and recurrences so far.
  var (convolutions, recurrences) = (0, 0)

  /// All tokens of some prompts, which take these rows, and the prompts' encoderOutputs in models that have them.
  init(
    prompts: [Range<Int>], encoderOutputs: [Variable<Scalar>] = [],
    earlier: [MixerCaches<Scalar>] = [], sideInput: Matrix<Scalar>? = nil
  ) {
    rows = .prompts(prompts)
    self.earlier = earlier
    self.sideInput = sideInput.map { Variable($0) }
    self.encoderOutputs = encoderOutputs
    sourcePositions = prompts.flatMap { 0..<$0.count }
    targetPositions = sourcePositions
    lengths = prompts.flatMap { Array(repeating: $0.count, count: $0.count) }
    caches = prompts.map { _ in MixerCaches() }
  }

  /// One row per Jacobian; `caches` are those that its prompt, of so many tokens, left behind at the same block.
  init(
    _ selections: [(selection: TokenSelection, tokens: Int, caches: MixerCaches<Scalar>)],
    sideInput: Matrix<Scalar>? = nil
  ) {
    rows = .selection(selections.map { ($0.selection, $0.caches) })
    self.sideInput = sideInput.map { Variable($0) }
    earlier = []
    encoderOutputs = []  // their keys and values are in the caches
    sourcePositions = selections.map(\.selection.source)
    targetPositions = selections.map(\.selection.target)
    lengths = selections.map(\.tokens)
  }

  /// Attention of the rows: `queries` at the targets, `keys` and `values` at the sources.
  public func attend(
    queries: Variable<Scalar>, keys: Variable<Scalar>, values: Variable<Scalar>,
    settings: AttentionSettings
  ) -> Variable<Scalar> {
    defer { attentions += 1 }
    switch rows {
    case .prompts(let prompts):
      let made = prompts.map {
        KeyValueCache(keys: keys, values: values, rows: $0, settings: settings)
      }
      for (p, cache) in made.enumerated() { caches[p].attentions.append(cache) }
      return sequenceAttention(queries: queries, caches: made, settings: settings)
    case .selection(let selections):
      let rows = selections.map {
        AttentionRow(
          cache: $0.caches.attentions[attentions], source: $0.selection.source,
          target: $0.selection.target)
      }
      return selectedAttention(
        queries: queries, keys: keys, values: values, rows: rows, settings: settings)
    }
  }

  /// Attention of the rows to their prompts' encoderOutputs, which are constant: `queries` at the targets; `keysAndValues` makes
  /// of a context what is looked at, and is asked once for each.
  public func crossAttend(
    queries: Variable<Scalar>, settings: AttentionSettings,
    keysAndValues: (Variable<Scalar>) -> (keys: Variable<Scalar>, values: Variable<Scalar>)
  ) -> Variable<Scalar> {
    if case .prompts = rows {
      for (p, context) in encoderOutputs.enumerated() {
        if let first = encoderOutputs[..<p].firstIndex(where: { isSame($0, context) }) {
          caches[p].attentions.append(caches[first].attentions[attentions])
        } else {
          let (keys, values) = keysAndValues(context)
          caches[p].attentions.append(
            KeyValueCache(keys: keys, values: values, settings: settings))
        }
      }
    }
    return attendHeld(queries: queries, settings: settings)
  }

  /// Attention of the rows to the keys and values that an earlier block's first attention left behind, which are constant:
  /// `queries` at the targets.
  public func attendEarlier(
    queries: Variable<Scalar>, settings: AttentionSettings
  ) -> Variable<Scalar> {
    for p in earlier.indices { caches[p].attentions.append(earlier[p].attentions[0]) }
    return attendHeld(queries: queries, settings: settings)
  }

  /// Attention to keys and values of which none is active, and which are the last in the caches of whole prompts.
  private func attendHeld(
    queries: Variable<Scalar>, settings: AttentionSettings
  ) -> Variable<Scalar> {
    defer { attentions += 1 }
    switch rows {
    case .prompts(let prompts):
      return sequenceAttention(
        queries: queries, counts: prompts.map(\.count),
        caches: caches.map { $0.attentions[attentions] },
        settings: settings)
    case .selection(let selections):
      let rows = selections.map {
        AttentionRow(
          cache: $0.caches.attentions[attentions], source: nil, target: $0.selection.target)
      }
      return selectedAttention(
        queries: queries, keys: nil, values: nil, rows: rows, settings: settings)
    }
  }

  /// Queries rotated to their tokens' positions.
  public func rotate(
    queries: Variable<Scalar>, heads: Int, by rotary: RotaryFrequencies,
    pairing: RotaryPairing
  ) -> Variable<Scalar> {
    rotate(queries, targetPositions, heads, rotary, pairing)
  }

  /// Keys rotated to their tokens' positions; `bias` is what was left out of them, as in `Variable.rotated`.
  public func rotate(
    keys: Variable<Scalar>, heads: Int, by rotary: RotaryFrequencies,
    pairing: RotaryPairing, bias: [Scalar]? = nil
  ) -> Variable<Scalar> {
    rotate(keys, sourcePositions, heads, rotary, pairing, bias)
  }

  private func rotate(
    _ x: Variable<Scalar>, _ positions: [Int], _ heads: Int, _ rotary: RotaryFrequencies,
    _ pairing: RotaryPairing, _ bias: [Scalar]? = nil
  ) -> Variable<Scalar> {
    // Frequencies may depend on the length of a prompt, and prompts of several lengths go together.
    var scale = 1.0
    var tables: [Int: [Double]] = [:]
    let frequencies = lengths.map { length in
      if let table = tables[length] { return table }
      let table: [Double]
      (table, scale) = rotary.frequencies(length: length)
      tables[length] = table
      return table
    }
    return x.rotated(
      by: RotaryAngles(
        positions: positions, frequencies: frequencies, pairing: pairing, scale: scale),
      heads: heads, bias: bias)
  }
}
