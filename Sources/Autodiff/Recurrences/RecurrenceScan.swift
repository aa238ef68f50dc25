import LinearAlgebra
import Weights

/// The derivative of a recurrence's outputs at some tokens of each reach with respect to its inputs at some tokens.
///
/// An application takes every step from the first of the tokens to the last target. Forward, it carries the tangent
/// of a state; on the right, S is that of the previous token and everything else is that of token τ:
///
///     dS̃ = exp(Δ A) ∘ dS + dΔ A ∘ S̃,  dδ = dv  or  β (dv − dS̃ᵀ k − S̃ᵀ dk) + dβ (v − S̃ᵀ k),
///     dS = dS̃ + k dδᵀ + dk δᵀ,  dy = dSᵀ q + Sᵀ dq,
///
/// The adjoint carries the cotangent S̄ of a state in the opposite direction:
///
///     S̄ += q ȳᵀ,  q̄ = S ȳ,  δ̄ = S̄ᵀ k,  k̄ = S̄ δ,  v̄ = δ̄,  and by the delta rule
///     k̄ −= β S̃ δ̄,  v̄ = β δ̄,  β̄ = (v − S̃ᵀ k)ᵀ δ̄,  S̄ −= β k δ̄ᵀ;  Δ̄ = ⟨A ∘ S̃, S̄⟩,  S̄ ← exp(Δ A) ∘ S̄.
///
/// Each thread computes one head at a time, for up to eight vectors: memory does not grow with tokens × state ×
/// vectors. States are saved at the beginnings of segments of a few tokens; those in between are recomputed, in
/// double precision.
final class RecurrenceScan<Scalar: RealScalar>: Primitive {
  /// The most tokens in a segment. A larger value saves fewer states but needs more records on every thread.
  static var segmentLength: Int { 16 }
  /// The number of vectors computed at once.
  static var width: Int { 8 }

  /// Consecutive tokens that all have input rows, or whose inputs are all constant.
  struct Segment {
    let tokens: Range<Int>
    /// The row of the first token's inputs, if they have any.
    let row: Int?
    /// The index of the saved state before the segment; 0 without rows.
    let checkpoint: Int
  }

  /// A reach, divided into segments.
  struct Group {
    let cache: RecurrenceCache<Scalar>
    /// The segments, from the first token of the reach to the last.
    let segments: [Segment]
    /// The output row of each of these tokens; nil for those that are not targets.
    let outputs: [Int?]

    func output(at token: Int) -> Int? { outputs[token - segments[0].tokens.lowerBound] }
  }

  let settings: RecurrenceSettings
  let isDelta: Bool
  let queries, keys, values, steps, strengths: Int?
  let groups: [Group]
  /// The number of rows of the inputs, and of the queries and outputs.
  let tokens, targets: Int
  /// Whether the rules need states; they do not if only values are active.
  let needsStates: Bool
  /// For each row that begins a segment, the index of the saved state before it.
  private let checkpointsOfRows: [Int?]
  /// Sᵀ before every segment with rows (segments, heads, values, keys).
  let checkpoints: Buffer<Scalar>
  /// The heads that recompute states, one per thread.
  let lanes: [RecurrentHead<Scalar>]
  /// The number of parts of a group of heads that are computed in parallel; the same for any number of threads.
  let chunks: Int

  init(
    _ inputs: RecurrenceInputs<Scalar>, reaches: [TokenReach], caches: [RecurrenceCache<Scalar>],
    _ settings: RecurrenceSettings
  ) {
    self.settings = settings
    isDelta = inputs.strengths != nil
    (queries, keys) = (inputs.queries.position, inputs.keys.position)
    (values, steps) = (inputs.values.position, inputs.steps.position)
    strengths = inputs.strengths?.position
    needsStates = queries != nil || keys != nil || steps != nil || strengths != nil
    var (row, output) = (0, 0)
    var starts: [Int?] = []
    var kept = 0
    groups = zip(reaches, caches).map { reach, cache in
      let (first, end) = (reach.tokens[0], reach.tokens[reach.tokens.count - 1] + 1)
      var segments: [Segment] = []
      var token = first
      var place = 0
      while token < end {
        let hasRows = reach.tokens[place] == token
        var last = token
        // Extend the segment while the tokens are of the same kind.
        while last < end, last - token < Self.segmentLength,
          hasRows == (reach.tokens[place] == last)
        {
          last += 1
          if hasRows { place = min(place + 1, reach.tokens.count - 1) }
        }
        segments.append(
          Segment(tokens: token..<last, row: hasRows ? row : nil, checkpoint: hasRows ? kept : 0))
        if hasRows {
          starts += [kept] + Array(repeating: nil, count: last - token - 1)
          kept += 1
          row += last - token
        }
        token = last
      }
      var outputs = [Int?](repeating: nil, count: end - first)
      for target in reach.targets {
        outputs[target - first] = output
        output += 1
      }
      return Group(cache: cache, segments: segments, outputs: outputs)
    }
    (tokens, targets) = (row, output)
    checkpointsOfRows = starts
    let size = settings.valueDimension * settings.keyDimension
    checkpoints = Buffer(count: needsStates ? kept * settings.heads * size : 0)
    lanes = (0..<min(Engine.currentThreads, settings.heads)).map { _ in
      RecurrentHead(settings, caches[0], head: 0)
    }
    chunks = min(settings.heads / settings.groups, max(1, 8 / settings.groups))
  }

  /// A callback that saves the states of head h before the segments.
  func keep(
    _ head: RecurrentHead<Scalar>, _ h: Int
  ) -> (RecurrenceMoment, RecurrenceVisit) -> Void {
    let size = settings.valueDimension * settings.keyDimension
    return { [self] moment, visit in
      guard needsStates, case .beforeDecay = moment, let place = checkpointsOfRows[visit.row]
      else { return }
      let state = checkpoints.base + (place * settings.heads + h) * size
      for i in 0..<size { state[i] = Scalar(head.state.base[i]) }
    }
  }

  var inputs: [Int] { [queries, keys, values, steps, strengths].compactMap { $0 } }

  /// Each chunk's share of the cotangents of keys and queries, and the memory of every thread, which has the same
  /// size for one vector as for eight.
  var scratchCount: Int { shareCount + lanes.count * RecurrenceLane<Scalar>.count(settings) }

  private var shareCount: Int { chunks > 1 ? chunks * (keyCount + queryCount) : 0 }
  /// The size of a vector of keys, and of one of queries below; 0 if they are constant.
  private var keyCount: Int {
    keys == nil ? 0 : settings.groups * settings.keyDimension * tokens
  }
  private var queryCount: Int {
    queries == nil ? 0 : settings.groups * settings.keyDimension * targets
  }

  /// Some heads of one group, for some vectors of one reach.
  struct Unit {
    let vectors: Range<Int>
    let group: Int
    let heads: Range<Int>
    let chunk: Int
  }

  private func unit(_ index: Int, _ b: Int) -> Unit {
    let (rest, part) = index.quotientAndRemainder(dividingBy: settings.groups * chunks)
    let (block, group) = rest.quotientAndRemainder(dividingBy: groups.count)
    let (g, chunk) = part.quotientAndRemainder(dividingBy: chunks)
    let size = settings.heads / settings.groups
    return Unit(
      vectors: block * Self.width..<min(b, (block + 1) * Self.width), group: group,
      heads: g * size + chunk * size / chunks..<g * size + (chunk + 1) * size / chunks,
      chunk: chunk)
  }

  /// Runs `body` for every head of every unit of b vectors, units in parallel; each call has its thread's memory.
  @inline(__always)
  private func forEachHead(
    _ workspace: Workspace<Scalar>, _ body: (Unit, _ head: Int, RecurrenceLane<Scalar>) -> Void
  ) {
    let b = workspace.vectors
    let units = (b + Self.width - 1) / Self.width * groups.count * settings.groups * chunks
    let memory = workspace.scratch + shareCount * b
    let size = RecurrenceLane<Scalar>.count(settings)
    withoutActuallyEscaping(body) { body in
      nonisolated(unsafe) let (scan, body, memory) = (self, body, memory)
      Engine.forEach(lanes.count) { i in
        for index in stride(from: i, to: units, by: scan.lanes.count) {
          let unit = scan.unit(index, b)
          let lane = RecurrenceLane(
            scan.settings, scan.lanes[i], memory + i * size, vectors: unit.vectors)
          for h in unit.heads {
            lane.begin(h, of: scan.groups[unit.group].cache)
            body(unit, h, lane)
          }
        }
      }
    }
  }

  /// Restores the state before a segment if states are needed, and returns whether they are.
  private func enter(_ segment: Segment, _ lane: RecurrenceLane<Scalar>, _ h: Int) -> Bool {
    guard needsStates, segment.row != nil else { return false }
    let size = settings.valueDimension * settings.keyDimension
    lane.restore(checkpoints.base + (segment.checkpoint * settings.heads + h) * size)
    return true
  }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func jvp(_ workspace: Workspace<Scalar>, into out: UnsafeMutablePointer<Scalar>) {
    let b = workspace.vectors
    let rows = RecurrenceRows<Scalar>(
      queries: queries.map { workspace.slot($0) }, keys: keys.map { workspace.slot($0) },
      values: values.map { workspace.slot($0) }, steps: steps.map { workspace.slot($0) },
      strengths: strengths.map { workspace.slot($0) }, outputs: out, tokens: tokens,
      targets: targets, vectors: b)
    forEachHead(workspace) { unit, h, lane in
      let group = groups[unit.group]
      for segment in group.segments {
        let withStates = enter(segment, lane, h)
        for (i, token) in segment.tokens.enumerated() {
          let output = group.output(at: token)
          let record = lane.record(0)
          lane.read(token, withStates: withStates, asks: output != nil, into: record)
          lane.advance(
            record, isDelta: isDelta,
            rows.at(h, settings, row: segment.row.map { $0 + i }, output: output))
        }
      }
    }
  }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func vjp(_ workspace: Workspace<Scalar>, _ cotangent: UnsafePointer<Scalar>) {
    let (b, shares) = (workspace.vectors, workspace.scratch)
    if chunks > 1 { shares.update(repeating: 0, count: shareCount * b) }
    let (dk, dq) = (
      keys.map { workspace.accumulator(of: $0) }, queries.map { workspace.accumulator(of: $0) }
    )
    let (dv, dΔ, dβ) = (
      values.map { workspace.accumulator(of: $0) }, steps.map { workspace.accumulator(of: $0) },
      strengths.map { workspace.accumulator(of: $0) }
    )
    let queryShares = shares + chunks * keyCount * b
    forEachHead(workspace) { unit, h, lane in
      let group = groups[unit.group]
      let rows = RecurrenceRows<Scalar>(
        queries: chunks == 1 ? dq : dq.map { _ in queryShares + unit.chunk * queryCount * b },
        keys: chunks == 1 ? dk : dk.map { _ in shares + unit.chunk * keyCount * b }, values: dv,
        steps: dΔ, strengths: dβ, outputs: UnsafeMutablePointer(mutating: cotangent),
        tokens: tokens, targets: targets, vectors: b)
      for segment in group.segments.reversed() {
        let withStates = enter(segment, lane, h)
        for (i, token) in segment.tokens.enumerated() {
          lane.read(
            token, withStates: withStates, asks: group.output(at: token) != nil,
            into: lane.record(i))
        }
        for (i, token) in segment.tokens.enumerated().reversed() {
          lane.retreat(
            lane.record(i), isDelta: isDelta,
            rows.at(
              h, settings, row: segment.row.map { $0 + i }, output: group.output(at: token)))
        }
      }
    }
    guard chunks > 1 else { return }
    for chunk in 0..<chunks {
      if let dk {
        addScaled(
          1, shares + chunk * keyCount * b, into: dk, count: keyCount * b, accumulating: true)
      }
      if let dq {
        addScaled(
          1, queryShares + chunk * queryCount * b, into: dq, count: queryCount * b,
          accumulating: true)
      }
    }
  }
}
