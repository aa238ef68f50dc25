import LinearAlgebra

/// The recurrence's outputs at the targets of some reaches, as a function of what goes into it at their tokens.
///
/// `queries` have one row per target, one reach after another; all other inputs one per token of a reach. Any may be
/// constant; the inputs of other tokens are constants of `caches`, one for each reach, which also supply the primal of the
/// active ones. Rows of different reaches do not mix. Cost: one pass through each sequence, however many reaches are in it.
/// An application costs some products with matrices of the size of a state where each reach has one target, and as if each
/// reach were the whole sequence where some have several.
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
  // By the delta rule a step keeps a matrix of the size of a state for every token.
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

/// A token of a reach, where the heads come by it on their way through its sequence.
struct RecurrenceVisit {
  /// The reach, and which of the reaches in this sequence it is.
  let reach, member: Int
  /// The token among those of the reach, and the row of its inputs.
  let place, row: Int
  /// The row of its output, if the token is a target.
  let output: Int?
}

/// When on its way through a token a head is asked for what is to be kept of it.
enum RecurrenceMoment {
  case beforeDecay, beforeUpdate, afterUpdate
}

/// One way through a sequence, for all reaches that lie in it.
struct RecurrencePass<Scalar: RealScalar> {
  let cache: RecurrenceCache<Scalar>
  /// By the token, from 0 to the last that is visited.
  fileprivate(set) var visits: [[RecurrenceVisit]] = []
  /// The tokens of each reach.
  fileprivate(set) var members: [[Int]] = []

  /// Evaluates all heads, side by side; `keeping` makes for each what is called at every visit.
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

/// The reaches by their sequences, each once.
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
