import Analysis
import Alignment

/// Two runs side by side: what differs in how they were made, every number both have, and how far apart the two are.
///
/// Differences are second − first. Means are over what both runs hold: the prompts that are the same, to the token, and of
/// these the same Jacobians. Whether two means stand apart is judged prompt by prompt, and only where both are of one quantity.
public struct RunComparison: Encodable, Sendable {
  /// How far the runs are the same one.
  public enum Likeness: String, Codable, Sendable {
    /// They are one folder.
    case sameFolder = "same-folder"
    /// Every number that both hold is the same.
    case sameNumbers = "same-numbers"
  }

  /// One run and another.
  public let first, second: ComparedRun
  /// In the model and the settings that numbers depend on or are read by, keys as in `result.json`, those of the model under `model.`.
  public let differences: [RecordDifference]
  /// Different prompts that both have.
  public let commonPrompts: Int
  /// Null where some number differs.
  @Nullable public var likeness: Likeness?
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
    differences = try Self.differences(a, b)
    let part = CommonPart(a, b)
    let arePaired = !part.first.isEmpty
    commonPrompts = part.first.count
    var notes = part.notes
    let reading = reading.resolved(by: a.settings)
    let (x, y) = arePaired ? (part.first, part.second) : (a.prompts, b.prompts)
    let means = SideBySide(
      first: StudyStatistics(x, diagonal: a.settings.diagonal),
      second: StudyStatistics(y, diagonal: a.settings.diagonal), arePaired: arePaired)
    let shapes = a.model.layers == b.model.layers ? nil : "the models have other numbers of blocks"
    let sites = a.settings.site == b.settings.site ? nil : "the Jacobians are of other sites"
    let lasts = a.settings.last == b.settings.last ? nil : "the last blocks are other functions"
    let jacobians = shapes ?? sites
    var quantities = Self.couplings(a, b, reading, means, unjudged: jacobians, &notes)
    for s in means.first.trajectory {
      let isPath = s.quantity != .linearisedPathCosine
      quantities += means.compared(
        "\(s.quantity.rawValue), \(s.tokens.rawValue)", s.value,
        means.second.trajectory(s.quantity, s.tokens)?.value,
        unjudged: isPath ? shapes : jacobians ?? lasts)
    }
    quantities += means.compared(
      "mean σ₁", Self.leading(x), Self.leading(y), unjudged: jacobians)
    self.quantities = quantities
    if a.model.layers != b.model.layers || a.model.width != b.model.width {
      notes.append(
        "blocks are not compared one by one: \(a.model.layers) of width \(a.model.width) against "
          + "\(b.model.layers) of width \(b.model.width)")
      blocks = []
    } else if let sites {
      notes.append("blocks are not compared one by one: \(sites)")
      blocks = []
    } else {
      blocks = BlockComparison.all(Array(zip(part.first, part.second)), reading)
    }
    self.notes = notes
    let isSame =
      arePaired && !quantities.isEmpty && quantities.allSatisfy(\.isSame)
      && blocks.allSatisfy { $0.singularValues ?? 0 == 0 && $0.coupling ?? 0 == 0 }
    likeness =
      first.resolvedPath == second.resolvedPath ? .sameFolder : isSame ? .sameNumbers : nil
  }

  private static func differences(_ a: RunRecord, _ b: RunRecord) throws -> [RecordDifference] {
    let (numeric, reading) = (
      try RecordDifference.all([a.settings.numeric, b.settings.numeric]),
      try RecordDifference.all([a.settings.reading, b.settings.reading])
    )
    let models = try RecordDifference.all([a.model, b.model]).map {
      RecordDifference(key: "model.\($0.key)", values: $0.values)
    }
    let versions = try RecordDifference.all([["krylens": a.krylens], ["krylens": b.krylens]])
    return versions + models + (numeric + reading).sorted { $0.key < $1.key }
  }

  private static func couplings(
    _ a: RunRecord, _ b: RunRecord, _ reading: CouplingReading, _ means: SideBySide,
    unjudged: String?, _ notes: inout [String]
  ) -> [QuantityComparison] {
    let (ours, theirs) = (reading.statistics(of: a), reading.statistics(of: b))
    if ours.isEmpty && theirs.isEmpty { notes.append("neither run has this coupling") }
    let isAlike = { (s: CouplingStatistic, t: CouplingStatistic) in
      s.kind == t.kind && s.setting == t.setting
    }
    for (lonely, others, name) in [(ours, theirs, "first"), (theirs, ours, "second")] {
      for s in lonely where !others.contains(where: { isAlike(s, $0) }) {
        notes.append("coupling (\(s.reading)) is in the \(name) run only")
      }
    }
    return ours.filter { s in theirs.contains { isAlike(s, $0) } }.flatMap { s in
      let x = means.first.coupling(s.kind, s.setting)
      let y = means.second.coupling(s.kind, s.setting)
      return means.compared(
        "coupling, \(s.kind.rawValue), rank \(s.setting.rank)", x?.value, y?.value,
        unjudged: unjudged
      ).map { quantity in
        var quantity = quantity
        (quantity.firstNull, quantity.secondNull) = (x?.null, y?.null)
        return quantity
      }
    }
  }

  /// σ₁, the mean over a prompt's Jacobians.
  private static func leading(_ prompts: [PromptRecord]) -> PromptMean {
    PromptMean(
      prompts.map { MeanEstimate($0.layers.compactMap(\.singularValues.first))?.mean },
      alike: prompts.firstAlike)
  }
}

/// The statistics of both runs over what they have in common, or, with no prompt in common, of each over its own.
private struct SideBySide {
  let first, second: StudyStatistics
  let arePaired: Bool

  /// None when a run does not have the number.
  func compared(
    _ name: String, _ x: PromptMean?, _ y: PromptMean?, unjudged: String?
  ) -> [QuantityComparison] {
    guard let x, let y else { return [] }
    return QuantityComparison(name, x, y, arePaired: arePaired, unjudged: unjudged).map { [$0] }
      ?? []
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
