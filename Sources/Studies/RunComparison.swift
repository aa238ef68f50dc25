import Analysis
import Alignment

/// A comparison of two runs: their differences in settings, the quantities that both have, and which of them differ
/// significantly.
///
/// Differences are second − first. Means are over the common part of the runs: prompts with the same tokens, with the same
/// Jacobians. Differences are tested by pairing prompts, and only if the quantity is the same in both.
public struct RunComparison: Encodable, Sendable {
  /// In what sense two runs are the same.
  public enum Likeness: String, Codable, Sendable {
    /// They are the same folder.
    case sameFolder = "same-folder"
    /// Every number that both have is the same.
    case sameNumbers = "same-numbers"
  }

  /// The two runs.
  public let first, second: ComparedRun
  /// The differences in the model, in the settings that numbers depend on, and in the reading, with keys as in `result.json`,
  /// those of the model under `model.`.
  public let differences: [RecordDifference]
  /// The number of different prompts that both have.
  public let commonPrompts: Int
  /// How the runs are the same; null if some number differs.
  @Nullable public var likeness: Likeness?
  /// The quantities that both have.
  public let quantities: [QuantityComparison]
  /// The comparison block by block, for runs of one shape with common prompts.
  public let blocks: [BlockComparison]
  /// Notes on what could not be compared, and why.
  public let notes: [String]

  /// Compares two runs, with coupling as in `reading`, completed by the settings of the first run.
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
    let shapes =
      a.model.layers == b.model.layers ? nil : "the models have different numbers of blocks"
    let sites = a.settings.site == b.settings.site ? nil : "the Jacobians are of different sites"
    let lasts = a.settings.last == b.settings.last ? nil : "the last blocks are different functions"
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
        "blocks are not compared one by one: \(a.model.layers) of width \(a.model.width) and "
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

  /// The mean of σ₁ over each prompt's Jacobians.
  private static func leading(_ prompts: [PromptRecord]) -> PromptMean {
    PromptMean(
      prompts.map { MeanEstimate($0.layers.compactMap(\.singularValues.first))?.mean },
      alike: prompts.firstAlike)
  }
}

/// The statistics of both runs over what they have in common, or, without a common prompt, of each over its own prompts.
private struct SideBySide {
  let first, second: StudyStatistics
  let arePaired: Bool

  /// The comparison of a number, or none if a run does not have it.
  func compared(
    _ name: String, _ x: PromptMean?, _ y: PromptMean?, unjudged: String?
  ) -> [QuantityComparison] {
    guard let x, let y else { return [] }
    return QuantityComparison(name, x, y, arePaired: arePaired, unjudged: unjudged).map { [$0] }
      ?? []
  }
}

/// A run in a comparison.
public struct ComparedRun: Encodable, Sendable {
  /// The run folder.
  public let run: String
  /// The model.
  public let model: ModelRecord
  /// The number of prompts.
  public let prompts: Int
  /// Whether the run is complete.
  public let complete: Bool

  init(_ run: StoredRun) {
    (self.run, model) = (run.path, run.record.model)
    (prompts, complete) = (run.record.prompts.count, run.record.complete)
  }
}
