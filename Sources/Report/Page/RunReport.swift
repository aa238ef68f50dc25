import Studies
public import Analysis

/// Figures of runs of `align`, and a page that shows them.
///
///     index.html          self-contained: every figure is embedded
///     figures/NAME.svg    and .png, drawn by gnuplot
///     figures/NAME.gp     its gnuplot commands
///     figures/NAME….dat   its numbers, tab-separated
public struct RunReport {
  private let runs: [ReportedRun]
  let sections: [Section]

  /// A group of figures under one heading.
  struct Section {
    /// The run that the figures show; nil for figures of all runs.
    let run: ReportedRun?
    let figures: [Figure]
  }

  /// A report of the given runs, and of the scores of their models if `scores` is given. Runs keep their order, except that
  /// checkpoints of one architecture are sorted by training step and runs with random weights follow the trained ones.
  ///
  /// Throws `RunError.badSetting` if there are no runs or their couplings cannot be correlated with scores together,
  /// `tooFewScored` if fewer than 3 models have a score, `badRun` if a record is inconsistent, and `FileError` for a damaged
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

  /// Writes the figures and the page into a folder, which must be new, be empty, or hold a report; an earlier report is
  /// replaced when everything has been drawn. `step` is called before each figure, and ends the work if it throws.
  ///
  /// Throws `ReportError`, `RunError.cannotWrite`, and the errors of `step`; the folder is then left as it was.
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

  /// Coupling across depth against scores. Runs with random weights are excluded: the scores belong to the trained models.
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

  /// Labels of the runs: the model's name, the settings that distinguish it, and a number if labels are still equal.
  private static func labels(_ runs: [StoredRun]) -> [String] {
    let names = runs.map { run in
      let (model, settings) = (run.record.model, run.record.settings)
      let step = model.trainingStep.map { model.name.contains("\($0)") ? "" : ", step \($0)" } ?? ""
      let kind = settings.kind == .depth ? "" : ", \(settings.kind.rawValue)"
      // A name made by `align` already says "random", and a checkpoint's own name mostly contains its step.
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
