import Autodiff
import LinearAlgebra

/// The source and target token of a Jacobian: positions in the prompt, counted from 0.
public struct TokenSelection: Hashable, Sendable, Codable {
  /// The input token t₁.
  public let source: Int
  /// The output token t₂.
  public let target: Int

  /// Selects one token as input and another, or the same, as output.
  public init(source: Int, target: Int) {
    self.source = source
    self.target = target
  }

  /// Selects one token as both input and output.
  public init(_ token: Int) { self.init(source: token, target: token) }
}

/// The keys, values and other inputs that the mixers of a block save for one prompt, in the order in which mixers
/// run.
struct MixerCaches<Scalar: RealScalar> {
  /// One entry per attention.
  var attentions: [KeyValueCache<Scalar>] = []
  /// One entry per convolution.
  var convolutions: [TokenFeatures<Scalar>] = []
  /// One entry per recurrence.
  var recurrences: [RecurrenceCache<Scalar>] = []
}

/// The source and target tokens of a derivative in one prompt: rows of a group mix, rows of different groups do not.
struct RowGroup<Scalar: RealScalar> {
  /// The source tokens, ascending.
  let sources: [Int]
  /// The target tokens, ascending.
  let targets: [Int]
  /// The number of tokens of the prompt.
  let tokens: Int
  /// The caches of the prompt at the same block.
  let caches: MixerCaches<Scalar>
}

/// The tokens that the rows of a block's variables belong to, and hence what attention can see.
///
/// With whole prompts, the rows are their tokens, one prompt after another; each attention saves its keys and values,
/// each convolution and recurrence its inputs. Otherwise the rows are those of some groups, one after another: first
/// a group's source tokens, whose keys and values vary, then its target tokens, whose queries vary if they are
/// sources too. The keys and values of all other tokens are constants. The Jacobian from one token to one is a group
/// of a single row.
public final class AttentionContext<Scalar: RealScalar> {
  enum Rows {
    case prompts([Range<Int>])
    case groups([RowGroup<Scalar>])
  }

  let rows: Rows
  /// The encoder's output that each prompt attends to besides its own tokens; empty in models without an encoder.
  private let encoderOutputs: [Variable<Scalar>]
  /// The caches of an earlier block for each prompt, in a block that attends to that block's keys and values.
  private let earlier: [MixerCaches<Scalar>]
  /// The context of the earlier block, if that block is part of the same program, so that its keys and values vary.
  private let earlierContext: AttentionContext?
  /// The block's side input at every row's target token, a constant; nil in models without one.
  public let sideInput: Variable<Scalar>?
  /// The token of every source row.
  public let sourcePositions: [Int]
  /// The token of every target row.
  public let targetPositions: [Int]
  /// The length of the prompt of every source row, and of every target row.
  private let sourceLengths, targetLengths: [Int]
  /// The caches of each prompt, filled by the mixers run so far.
  var caches: [MixerCaches<Scalar>] = []
  private var attentions = 0
  /// The keys and values of the first attention's sources.
  private var firstKeysAndValues: (keys: Variable<Scalar>, values: Variable<Scalar>)?
  /// The numbers of convolutions and of recurrences run so far.
  var (convolutions, recurrences) = (0, 0)

  /// All tokens of some prompts, whose rows are given, with the outputs of the prompts' encoders in models that have
  /// one.
  init(
    prompts: [Range<Int>], encoderOutputs: [Variable<Scalar>] = [],
    earlier: [MixerCaches<Scalar>] = [], sideInput: Matrix<Scalar>? = nil
  ) {
    rows = .prompts(prompts)
    self.earlier = earlier
    earlierContext = nil
    self.sideInput = sideInput.map { Variable($0) }
    self.encoderOutputs = encoderOutputs
    sourcePositions = prompts.flatMap { 0..<$0.count }
    targetPositions = sourcePositions
    sourceLengths = prompts.flatMap { Array(repeating: $0.count, count: $0.count) }
    targetLengths = sourceLengths
    caches = prompts.map { _ in MixerCaches() }
  }

  /// The rows of some groups.
  init(
    _ groups: [RowGroup<Scalar>], earlier: AttentionContext? = nil,
    sideInput: Matrix<Scalar>? = nil
  ) {
    rows = .groups(groups)
    self.sideInput = sideInput.map { Variable($0) }
    self.earlier = []
    earlierContext = earlier
    encoderOutputs = []  // their keys and values are in the caches
    sourcePositions = groups.flatMap(\.sources)
    targetPositions = groups.flatMap(\.targets)
    sourceLengths = groups.flatMap { Array(repeating: $0.tokens, count: $0.sources.count) }
    targetLengths = groups.flatMap { Array(repeating: $0.tokens, count: $0.targets.count) }
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
    case .groups(let groups):
      if attentions == 0 { firstKeysAndValues = (keys, values) }
      return attend(
        queries: queries, keys: keys, values: values, sources: groups.map(\.sources), settings)
    }
  }

  /// Attention of the targets of some groups to the keys and values of active tokens, one group's after another's,
  /// and to the constants of all other tokens.
  private func attend(
    queries: Variable<Scalar>, keys: Variable<Scalar>?, values: Variable<Scalar>?,
    sources: [[Int]], _ settings: AttentionSettings
  ) -> Variable<Scalar> {
    guard case .groups(let groups) = rows else { return queries }
    var first = 0
    let rows = zip(groups, sources).flatMap { group, sources in
      let active = ActiveTokens(sources, firstRow: first)
      first += sources.count
      return group.targets.map {
        AttentionRow(cache: group.caches.attentions[attentions], sources: active, target: $0)
      }
    }
    let rules = [queries, keys, values].compactMap { $0 }.first(where: \.isActive)?.rules
    let attended = selectedAttention(
      queries: queries.asMixingWeight, keys: keys?.asMixingWeight, values: values, rows: rows,
      settings: settings)
    guard let number = rules?.head, case let head = number - settings.firstHead else {
      return attended
    }
    // The head may be one of another member of the team.
    guard (0..<settings.heads).contains(head) else { return attended.detached }
    let part = head * settings.valueDimension..<(head + 1) * settings.valueDimension
    return attended.holding(allBut: part)
  }

  /// Cross-attention of the rows to the outputs of their prompts' encoders, which are constant: `queries` at the
  /// targets; `keysAndValues` computes the keys and values of an encoder's output and is called once for each.
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
    let attended = attendHeld(queries: queries, settings: settings)
    // The tangents of one head are those of its attention to the prompt's own tokens.
    return queries.rules.head == nil ? attended : attended.detached
  }

  /// Attention of the rows to the keys and values that the first attention of an earlier block saved, which are
  /// constant unless that block is part of the same program: `queries` at the targets.
  public func attendEarlier(
    queries: Variable<Scalar>, settings: AttentionSettings
  ) -> Variable<Scalar> {
    for p in earlier.indices { caches[p].attentions.append(earlier[p].attentions[0]) }
    if let earlierContext, let (keys, values) = earlierContext.firstKeysAndValues,
      case .groups(let groups) = earlierContext.rows
    {
      defer { attentions += 1 }
      return attend(
        queries: queries, keys: keys, values: values, sources: groups.map(\.sources), settings)
    }
    return attendHeld(queries: queries, settings: settings)
  }

  /// Attention to keys and values that are all constant, with those of whole prompts last in the caches.
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
    case .groups(let groups):
      return attend(
        queries: queries, keys: nil, values: nil, sources: groups.map { _ in [] }, settings)
    }
  }

  /// Queries rotated to their tokens' positions.
  public func rotate(
    queries: Variable<Scalar>, heads: Int, by rotary: RotaryFrequencies,
    pairing: RotaryPairing
  ) -> Variable<Scalar> {
    rotate(queries, targetPositions, targetLengths, heads, rotary, pairing)
  }

  /// Keys rotated to their tokens' positions; `bias` was left out of them, as in `Variable.rotated`.
  public func rotate(
    keys: Variable<Scalar>, heads: Int, by rotary: RotaryFrequencies,
    pairing: RotaryPairing, bias: [Scalar]? = nil
  ) -> Variable<Scalar> {
    rotate(keys, sourcePositions, sourceLengths, heads, rotary, pairing, bias)
  }

  private func rotate(
    _ x: Variable<Scalar>, _ positions: [Int], _ lengths: [Int], _ heads: Int,
    _ rotary: RotaryFrequencies, _ pairing: RotaryPairing, _ bias: [Scalar]? = nil
  ) -> Variable<Scalar> {
    // Frequencies may depend on the length of a prompt, and prompts of several lengths are computed together.
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

extension Variable {
  /// x with all features outside `part` held constant.
  func holding(allBut part: Range<Int>) -> Variable {
    guard part != 0..<columns, isActive else { return self }
    return .joined([
      columns(0..<part.lowerBound).detached, columns(part),
      columns(part.upperBound..<columns).detached,
    ])
  }
}
