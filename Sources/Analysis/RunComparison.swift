import Alignment

/// Two runs side by side: what differs in how they were made, every number both have, and how far apart the two are.
///
/// Differences are second − first. Where prompts are the same, to the token, they are taken prompt by prompt too.
public struct RunComparison: Encodable, Sendable {
  /// One run and another.
  public let first, second: ComparedRun
  /// In the model and the settings, keys as in `result.json`, those of the model behind `model.`.
  public let differences: [RecordDifference]
  /// Prompts that both have.
  public let commonPrompts: Int
  /// Every number both have.
  public let quantities: [QuantityComparison]
  /// Block by block, of runs of one shape with prompts in common.
  public let blocks: [BlockComparison]
  /// What could not be compared, and why.
  public let notes: [String]

  /// Compares two runs, coupling as `reading` has it; what that leaves to a run is as the first one shows it.
  public init(_ first: StoredRun, _ second: StoredRun, reading: CouplingReading) throws {
    let (a, b) = (first.record, second.record)
    (self.first, self.second) = (ComparedRun(first), ComparedRun(second))
    differences =
      try RecordDifference.all([a.model, b.model])
      .map { RecordDifference(key: "model.\($0.key)", values: $0.values) }
      + RecordDifference.all([a.settings, b.settings]).filter { $0.key != "output" }
    let pairs = Self.pairs(a.prompts, b.prompts)
    commonPrompts = pairs.count
    var notes: [String] = []
    let reading = reading.resolved(by: a.settings)
    var quantities = Self.couplings(a, b, reading, pairs, &notes)
    let add = { (name: String, x: PromptMean?, y: PromptMean?) in
      guard let x, let y, let q = QuantityComparison(name, x, y, pairs) else { return }
      quantities.append(q)
    }
    for s in a.statistics.trajectory {
      let (quantity, tokens) = (s.quantity, s.tokens)
      let other = b.statistics.trajectory(quantity, tokens)?.value
      add("\(quantity.rawValue), \(tokens.rawValue)", s.value, other)
    }
    add("mean σ₁", Self.leading(a), Self.leading(b))
    self.quantities = quantities
    if a.model.layers != b.model.layers || a.model.width != b.model.width {
      notes.append(
        "blocks are not compared one by one: \(a.model.layers) of width \(a.model.width) against "
          + "\(b.model.layers) of width \(b.model.width)")
      blocks = []
    } else {
      blocks = BlockComparison.all(pairs.map { (a.prompts[$0], b.prompts[$1]) }, reading)
    }
    if pairs.isEmpty {
      notes.append(
        "no prompt is the same in both, to the token: nothing is compared prompt by prompt")
    } else if pairs.count < max(a.prompts.count, b.prompts.count) {
      notes.append(
        "prompt by prompt only the \(pairs.count) that both have are compared, of "
          + "\(a.prompts.count) and \(b.prompts.count)")
    }
    self.notes = notes
  }

  /// The positions of the prompts that are the same; of equal ones the first with the first, and so on.
  private static func pairs(_ a: [PromptRecord], _ b: [PromptRecord]) -> [(Int, Int)] {
    var places = Dictionary(grouping: b.indices, by: { b[$0].read }).mapValues { $0[...] }
    return a.indices.compactMap { i in places[a[i].read]?.popFirst().map { (i, $0) } }
  }

  private static func couplings(
    _ a: RunRecord, _ b: RunRecord, _ reading: CouplingReading, _ pairs: [(Int, Int)],
    _ notes: inout [String]
  ) -> [QuantityComparison] {
    let (ours, theirs) = (reading.statistics(of: a), reading.statistics(of: b))
    if ours.isEmpty && theirs.isEmpty { notes.append("neither run has this coupling") }
    let isAlike = { (s: CouplingStatistic, t: CouplingStatistic) in
      s.kind == t.kind && s.setting == t.setting && s.diagonal == t.diagonal
    }
    for (lonely, others, name) in [(ours, theirs, "first"), (theirs, ours, "second")] {
      for s in lonely where !others.contains(where: { isAlike(s, $0) }) {
        notes.append(
          "coupling (\(s.reading); diagonal \(s.diagonal.rawValue)) is in the \(name) run only")
      }
    }
    return ours.compactMap { s in
      guard let t = theirs.first(where: { isAlike(s, $0) }) else { return nil }
      let name = "coupling, \(s.kind.rawValue), rank \(s.setting.rank)"
      var quantity = QuantityComparison(name, s.value, t.value, pairs)
      quantity?.firstNull = s.null
      quantity?.secondNull = t.null
      return quantity
    }
  }

  /// σ₁, the mean over a prompt's Jacobians.
  private static func leading(_ run: RunRecord) -> PromptMean {
    PromptMean(
      run.prompts.map { MeanEstimate($0.layers.compactMap(\.singularValues.first))?.mean })
  }
}

/// What a run is, in a comparison.
public struct ComparedRun: Encodable, Sendable {
  /// The run folder.
  public let run: String
  /// The model.
  public let model: ModelRecord
  /// Prompts.
  public let prompts: Int
  /// Whether these are all that were asked for.
  public let complete: Bool

  init(_ run: StoredRun) {
    (self.run, model) = (run.path, run.record.model)
    (prompts, complete) = (run.record.prompts.count, run.record.complete)
  }
}
