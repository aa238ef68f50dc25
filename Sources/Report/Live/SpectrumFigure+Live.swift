import Alignment
import Analysis

extension LiveFigure {
  /// Singular values against k or along depth, and 1/σ₁, as means over prompts and for single prompts.
  static func spectra(_ run: ReportedRun) -> LiveFigure? {
    let all = run.record.prompts.map(\.layers)
    // A value and its bound, drawn in two ways, and 1/σ₁.
    let bytes = 45 * (all.first { !$0.isEmpty }?.reduce(0) { $0 + $1.singularValues.count } ?? 0)
    guard bytes <= run.liveBytes else { return nil }
    let choices = PromptChoices(run, bytesEach: bytes) { !all[$0].isEmpty }
    let ranks = run.record.settings.ranks.sorted()
    let most = all.joined().map(\.singularValues.count).max() ?? 1
    let limits = Array(Set(ranks + [most])).filter { $0 <= most && $0 > 1 }.sorted()
    var figure = LiveFigure(
      [
        Control(label: "Values", options: ["against k", "along depth"]),
        choices.control,
        Control(
          label: "Up to k =", options: limits.map { "\($0)" }, start: max(0, limits.count - 1),
          limits: limits),
      ],
      [
        ["type": "lines", "isLimited": true, "grow": 3, "basis": 430],
        .lines(
          x: ["label": "block", "word": "block", "whole": true],
          y: ["label": "1/σ₁", "include": [0]], [("grow", 2), ("basis", 320)]),
      ]
    ) { choice in
      let prompts = choices.options[choice[1]].prompts.map { run.record.prompts[$0] }
      let blocks = BlockSpectrum.all(prompts)
      return [
        choice[0] == 0 ? againstRank(blocks) : alongDepth(blocks),
        ["series": .list(inverse(blocks, prompts).map(\.json))],
      ]
    }
    figure.note = choices.note
    return figure
  }

  private static let value: PageJSON = ["label": "singular value σₖ", "log": true]

  private static func againstRank(_ blocks: [BlockSpectrum]) -> PageJSON {
    let series = blocks.map { block in
      LiveSeries(
        name: "block \(block.block)", level: Double(block.block),
        x: block.values.indices.map { Double($0 + 1) }, y: block.values.map { $0 > 0 ? $0 : nil },
        more: block.bounds.map { [("bounds", .bounds($0))] } ?? [])
    }
    let levels = blocks.map { Double($0.block) }
    let (low, high) = (levels.min() ?? 1, levels.max() ?? 1)
    return [
      "x": ["label": "k", "word": "k =", "whole": true], "y": value,
      "ramp": .range("block", low, high > low ? high : low + 1),
      "series": .list(series.map(\.json)),
    ]
  }

  /// One curve per k. `limitsLevels` makes the script hide curves whose k is above the limit, rather than places on the axis.
  private static func alongDepth(_ blocks: [BlockSpectrum]) -> PageJSON {
    let count = blocks.map(\.values.count).max() ?? 0
    let places: [Double?] = blocks.map { Double($0.block) }
    let areBounded = blocks.allSatisfy { $0.bounds != nil }
    let series = (0..<count).map { k in
      let (y, bounds) = (blocks.map { $0.value(k) }, blocks.map { $0.bound(k) })
      return LiveSeries(
        name: "σ\(k + 1)", level: Double(k + 1), x: places, y: y,
        more: areBounded ? [("bounds", PageJSON.bounds(bounds))] : [])
    }
    return [
      "x": ["label": "block", "word": "block", "whole": true], "y": value, "limitsLevels": true,
      "ramp": .range("k", 1, Double(max(count, 2))), "series": .list(series.map(\.json)),
    ]
  }

  private static func inverse(_ blocks: [BlockSpectrum], _ prompts: [PromptRecord]) -> [LiveSeries]
  {
    let known = blocks.filter { $0.inverseLeading != nil }
    let x = known.map { Double($0.block) as Double? }
    let (means, errors) = (
      known.map { $0.inverseLeading?.mean }, known.map { $0.inverseLeading?.standardError }
    )
    var points = LiveSeries(name: "1/σ₁", x: x, y: means)
    points.mark = "dot"
    if errors.contains(where: { $0 != nil }) {
      points.name = "mean of 1/σ₁, standard error over prompts"
      points.more = LiveSeries.ends(means, errors)
    }
    let start = prompts.lazy.compactMap(\.inverseLeadingFit).first?.start ?? .max
    let fitted = known.filter { $0.block >= start }
    guard
      let fit = LineFit(
        fitted.map { Double($0.block) }, fitted.map { $0.inverseLeading?.mean ?? .nan })
    else { return [points] }
    let share = fit.rSquared.map { ", R² = \(short($0))" } ?? ""
    return [
      points,
      LiveSeries(
        name: "least squares\(share)", colour: 1, x: fitted.map { Double($0.block) },
        y: fitted.map { fit.intercept + fit.slope * Double($0.block) }, mark: nil),
    ]
  }
}

extension BlockSpectrum {
  /// σ of rank k, from 0, for a logarithmic axis.
  fileprivate func value(_ k: Int) -> Double? {
    k < values.count && values[k] > 0 ? values[k] : nil
  }

  fileprivate func bound(_ k: Int) -> Double? {
    bounds.flatMap { k < $0.count ? $0[k] : nil }
  }
}
