import LinearAlgebra

/// A recurrence's outputs at the targets of some reaches, as a function of its inputs at their tokens.
///
/// `queries` have one row per target, one reach after another; all other inputs have one row per token of a reach.
/// Any may be constant; the inputs of other tokens are constants of `caches`, one for each reach, which also supply
/// the primal of the active ones. Rows of different reaches do not mix. Cost: one pass through each sequence, however
/// many reaches it has. If each reach has one target, an application costs a few products with matrices of the size
/// of a state; if some have several, it costs a scan of the whole sequence for each reach.
public func selectedRecurrence<Scalar: RealScalar>(
  _ inputs: RecurrenceInputs<Scalar>, reaches: [TokenReach], caches: [RecurrenceCache<Scalar>],
  _ settings: RecurrenceSettings
) -> Variable<Scalar> {
  inputs.check(settings)
  let tokens = reaches.reduce(0) { $0 + $1.tokens.count }
  let targets = reaches.reduce(0) { $0 + $1.targetPlaces.count }
  precondition(caches.count == reaches.count, "one cache per reach")
  precondition(
    inputs.queries.rows == targets && inputs.keys.rows == tokens && inputs.values.rows == tokens
      && inputs.steps.rows == tokens && inputs.strengths?.rows ?? tokens == tokens,
    "one row per token of a reach, one query per target")
  let features = settings.heads * settings.valueDimension
  let out = Buffer<Scalar>(count: features * targets)
  let passes = recurrencePasses(reaches, caches)
  guard
    let trace = Variable.trace(
      of: inputs.queries, inputs.keys, inputs.values, inputs.steps, inputs.strengths)
  else {
    for pass in passes { pass.run(settings, outputs: targets, into: out) { _, _ in { _, _ in } } }
    return Variable(rows: targets, columns: features, buffer: out)
  }
  let step: any Primitive<Scalar>
  // With the delta rule, a step saves a matrix of the size of a state for every token.
  if reaches.allSatisfy({
    $0.targetPlaces.count == 1
      && (inputs.strengths == nil || $0.tokens.count <= RecurrenceScan<Scalar>.segmentLength)
  }) {
    let single = RecurrenceStep<Scalar>(inputs, reaches: reaches, settings)
    for pass in passes {
      pass.run(settings, outputs: targets, into: out) { head, h in single.keep(head, h, pass) }
    }
    step = single
  } else {
    let scan = RecurrenceScan<Scalar>(inputs, reaches: reaches, caches: caches, settings)
    for pass in passes {
      pass.run(settings, outputs: targets, into: out) { head, h in scan.keep(head, h) }
    }
    step = scan
  }
  return trace.record(step, rows: targets, columns: features, value: out)
}

/// The occurrence of a token in a reach, which the heads visit on their pass through the sequence.
struct RecurrenceVisit {
  /// The reach, and its index among the reaches of this sequence.
  let reach, member: Int
  /// The index of the token in the reach, and the row of its inputs.
  let place, row: Int
  /// The row of its output; nil unless the token is a target.
  let output: Int?
}

/// The moments at which values are saved while a head passes a token.
enum RecurrenceMoment {
  case beforeDecay, beforeUpdate, afterUpdate
}

/// One pass through a sequence, for all of its reaches.
struct RecurrencePass<Scalar: RealScalar> {
  let cache: RecurrenceCache<Scalar>
  /// The visits of each token, from token 0 to the last one visited.
  fileprivate(set) var visits: [[RecurrenceVisit]] = []
  /// The tokens of each reach in this sequence.
  fileprivate(set) var members: [[Int]] = []

  /// Evaluates all heads in parallel; `keeping` returns, for each head, a callback that is called at every visit.
  func run(
    _ settings: RecurrenceSettings, outputs: Int, into out: Buffer<Scalar>,
    keeping: (RecurrentHead<Scalar>, Int) -> (RecurrenceMoment, RecurrenceVisit) -> Void
  ) {
    forEachHead(settings, cache) { head, h in
      let keep = keeping(head, h)
      for (token, visits) in visits.enumerated() {
        for visit in visits { keep(.beforeDecay, visit) }
        head.decay(at: token)
        for visit in visits { keep(.beforeUpdate, visit) }
        head.update()
        for visit in visits {
          if let output = visit.output {
            head.ask()
            for p in 0..<settings.valueDimension {
              out.base[(h * settings.valueDimension + p) * outputs + output] = Scalar(
                head.output(p))
            }
          }
          keep(.afterUpdate, visit)
        }
      }
    }
  }
}

/// The passes over the sequences of the reaches, one per sequence.
private func recurrencePasses<Scalar: RealScalar>(
  _ reaches: [TokenReach], _ caches: [RecurrenceCache<Scalar>]
) -> [RecurrencePass<Scalar>] {
  var passes: [RecurrencePass<Scalar>] = []
  var places: [ObjectIdentifier: Int] = [:]
  var (row, output) = (0, 0)
  for (r, (reach, cache)) in zip(reaches, caches).enumerated() {
    let p = places[ObjectIdentifier(cache)] ?? passes.count
    if p == passes.count {
      places[ObjectIdentifier(cache)] = p
      passes.append(RecurrencePass(cache: cache))
    }
    let missing = reach.tokens[reach.tokens.count - 1] + 1 - passes[p].visits.count
    passes[p].visits += Array(repeating: [], count: max(0, missing))
    var targets = reach.targetPlaces[...]
    for (place, token) in reach.tokens.enumerated() {
      let asks = targets.first == place
      if asks { targets.removeFirst() }
      passes[p].visits[token].append(
        RecurrenceVisit(
          reach: r, member: passes[p].members.count, place: place, row: row,
          output: asks ? output : nil))
      row += 1
      if asks { output += 1 }
    }
    passes[p].members.append(reach.tokens)
  }
  return passes
}
