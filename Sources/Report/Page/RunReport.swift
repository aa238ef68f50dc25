import Studies
public import Analysis

/// Figures of some runs, and a page that shows them.
///
///     index.html          self-contained: every figure is in it
///     figures/NAME.svg    and .png, drawn by gnuplot
///     figures/NAME.gp     its commands
///     figures/NAME….dat   its numbers, tab-separated
public struct RunReport {
  private let runs: [ReportedRun]
  let sections: [Section]

  /// Figures that belong together.
  struct Section {
    /// The run they are of; nil for those of all.
    let run: ReportedRun?
    let figures: [Figure]
  }

  /// Of these runs, in their order, except that checkpoints of one architecture come by their step, and a twin of random
  /// weights follows its model; and of the scores of their
  /// models, if they are known.
  ///
  /// Throws `RunError.badSetting` when there are none, or their couplings cannot be compared with scores together,
  /// `tooFewScored` when fewer than 3 have one, `badRun` when one of them contradicts itself, `FileError` for a damaged
  /// `couplings.safetensors`.
  public init(_ runs: [StoredRun], scores: ScoreColumn? = nil) throws {
    guard !runs.isEmpty else {
      throw RunError.badSetting(.runs, reason: "name at least one run folder")
    }
    let labels = Self.labels(runs)
    let all = try zip(runs, labels).enumerated().map { number, run in
      try ReportedRun(run.0, label: run.1, number: number + 1)
    }
    let order = all.indices.sorted { a, b in
      let key = { (i: Int) in
        (
          all.firstIndex { $0.architecture == all[i].architecture && $0.kind == all[i].kind } ?? i,
          all[i].isRandom ? 1 : 0, all[i].record.model.trainingStep ?? -1, i
        )
      }
      return key(a) < key(b)
    }
    self.runs = order.map { i in
      var run = all[i]
      run.liveBytes /= all.count
      return run
    }
    let (panels, colors) = (
      try self.runs.map { try BlockPanels($0) }, ColorScale.all(self.runs)
    )
    let largest = BlockPanels.scale(panels.compactMap { $0 })
    let correlation = try scores.flatMap { try Self.correlation(runs, $0) }
    let together = [Figure.runs(self.runs), correlation, Figure.emergence(self.runs)]
      .compactMap { $0 }
    sections =
      [Section(run: nil, figures: together)]
      + self.runs.enumerated().map { r, run in
        Section(
          run: run,
          figures: [
            Figure.depth(run, colors[r]),
            panels[r].map { Figure.blocks(run, $0, largest: largest) },
            Figure.tokens(run, colors[r]), Figure.tokensAlongDepth(run), Figure.spectra(run),
            Figure.norms(run), Figure.paths(run),
          ].compactMap { $0 })
      }
  }

  /// Draws everything into a folder that must not exist, be empty, or hold a report, which is replaced once all is drawn.
  /// `step` is called before each figure, and ends the work if it throws.
  ///
  /// Throws `ReportError`, `RunError.cannotWrite`, and what `step` throws; then nothing of it stays, and what was there is
  /// as it was.
  public func write(to path: String, before step: () throws -> Void = {}) throws {
    let gnuplot = try Gnuplot()
    let folder = try ReportFolder(path)
    do {
      for figure in sections.flatMap(\.figures) {
        try step()
        try folder.draw(figure, by: gnuplot)
      }
      let page = try ReportPage(runs: runs, sections: sections) { try folder.picture(of: $0) }
      try step()
      try folder.finish(page)
    } catch {
      folder.takeBack()
      throw error
    }
  }

  /// Coupling across depth against scores. Random weights have not earned their model's.
  private static func correlation(_ runs: [StoredRun], _ scores: ScoreColumn) throws -> Figure? {
    let meant = runs.filter {
      $0.record.settings.kind == .depth && !$0.record.settings.randomInit
    }
    let study = try CorrelationStudy(
      meant, .coupling(CouplingReading(kind: .depth)), scores: scores)
    guard study.statistics != nil else {
      throw RunError.tooFewScored(
        count: study.models.count { $0.standing == .used }, needed: CorrelationStudy.fewest,
        path: plainText(scores.source, limit: 200))
    }
    return Figure.correlation(study)
  }

  /// What the runs are called: the model, what sets it apart, and a number where that is not enough.
  private static func labels(_ runs: [StoredRun]) -> [String] {
    let names = runs.map { run in
      let (model, settings) = (run.record.model, run.record.settings)
      let step = model.trainingStep.map { model.name.contains("\($0)") ? "" : ", step \($0)" } ?? ""
      let kind = settings.kind == .depth ? "" : ", \(settings.kind.rawValue)"
      // `align` says so in a name it makes itself, and a checkpoint's own name mostly has its step.
      let isSaid = model.name.contains("random")
      let weights = settings.randomInit && !isSaid ? ", random weights" : ""
      return plainText(model.name, limit: 60) + weights + step + kind
    }
    return names.indices.map { i in
      let same = names.indices.filter { names[$0] == names[i] }
      return same.count > 1 ? "\(names[i]) (\((same.firstIndex(of: i) ?? 0) + 1))" : names[i]
    }
  }
}
