import Alignment
import Foundation
import Analysis

extension LiveFigure {
  /// The panels of |A(i|j)| / σ₁(i).
  static func blocks(_ found: BlockPanels, largest: Double) -> LiveFigure {
    LiveFigure([
      [
        "type": "mosaic", "digits": 4, "side": .literal("\(found.shown)"),
        "across": .literal("\(found.columns)"),
        "colour": .range("|A(i|j)| / σ₁(i)", 0, largest),
        "tiles": .list(found.panels.map { .text("\($0.block)|\($0.basis)") }),
        "values": .list(
          found.panels.flatMap { $0.entries.joined().map { .scaled($0, digits: 4) } }),
      ]
    ])
  }

  /// Norms and growth over all prompts, and of each token for single prompts.
  static func norms(
    _ run: ReportedRun, _ groups: [String], _ norms: DataTable, _ growth: DataTable
  ) -> LiveFigure {
    let paths = run.record.prompts.map(\.trajectory.norms)
    let most = paths.map { $0.reduce(0) { $0 + $1.count } }.max() ?? 0
    let choices = PromptChoices(run, bytesEach: 32 * most) { (paths[$0].first ?? []).count > 0 }
    var figure = LiveFigure(
      [choices.control],
      [
        .lines(
          x: ["label": "layer l", "word": "layer", "whole": true],
          y: ["label": "norm ‖xˡ‖", "log": true]),
        .lines(
          x: ["label": "block l", "word": "block", "whole": true],
          y: ["label": "growth a of a block", "include": [0]]),
      ]
    ) { choice in
      let prompts = choices.options[choice[0]].prompts
      guard choice[0] > 0, let p = prompts.first else {
        return [norms, growth].map { table in
          ["series": .list(bands(groups, table).map(\.json))]
        }
      }
      let path = paths[p]
      let count = path.first?.count ?? 0
      let series = { (first: Int, value: (Int, Int) -> Double?) -> PageJSON in
        .list(
          (0..<count).map { t in
            LiveSeries(
              name: "token " + run.tokenName(t, prompt: p), level: Double(t),
              x: (first..<path.count).map { Double($0) },
              y: (first..<path.count).map { value($0, t) }
            ).json
          })
      }
      let ramp = PageJSON.range("token", 0, Double(max(count - 1, 1)))
      return [
        ["ramp": ramp, "series": series(0) { l, t in path[l][t] > 0 ? path[l][t] : nil }],
        [
          "ramp": ramp,
          "series": series(1) { l, t in
            let (a, b) = (path[l - 1][t], path[l][t])
            return a > 0 && b > 0 ? log(b) - log(a) : nil
          },
        ],
      ]
    }
    figure.note = choices.note
    return figure
  }

  private static func bands(_ groups: [String], _ table: DataTable) -> [LiveSeries] {
    groups.enumerated().flatMap { g, name -> [LiveSeries] in
      let (x, mean) = (table.column(0), table.column(3 * g + 1))
      let ends = [
        ("low", PageJSON.numbers(table.column(3 * g + 2))),
        ("high", PageJSON.numbers(table.column(3 * g + 3))),
      ]
      let colour = name == "first token" ? 1 : 0
      return [
        LiveSeries(
          name: name, colour: colour, x: x, y: mean, more: ends, isLine: false, isBand: true,
          mark: nil, isSilent: true),
        LiveSeries(name: name, colour: colour, x: x, y: mean),
      ]
    }
  }

  /// The paths of a prompt's tokens in the planes of their principal components.
  static func paths(_ run: ReportedRun) -> LiveFigure? {
    let pictures = run.record.prompts.map { prompt in
      [prompt.trajectory.picture, prompt.trajectory.pictureWithoutFirst].compactMap(\.self)
    }
    let parts = pictures.map(\.count).max() ?? 0
    let points = { (p: Int) in pictures[p].reduce(0) { $0 + $1.points.joined().count } }
    let most = pictures.indices.map(points).max() ?? 0
    guard 40 * most <= run.liveBytes else { return nil }
    let choices = PromptChoices(run, bytesEach: 40 * most, hasMean: false) {
      pictures[$0].count == parts && points($0) > 0
    }
    guard !choices.options.isEmpty else { return nil }
    let titles = ["all tokens", "without the first token"]
    var figure = LiveFigure(
      [choices.control],
      (0..<parts).map {
        ["type": "lines", "height": 400, "title": .text(parts > 1 ? titles[$0] : "")]
      }
    ) { choice in
      let p = choices.options[choice[0]].prompts[0]
      return pictures[p].enumerated().map { part, picture in
        let shares = picture.explainedVariance.map(Figure.percentage)
        let series = picture.points.enumerated().map { t, path in
          let name = run.tokenName(t + part, prompt: p)
          return LiveSeries(
            level: Double(t + part), x: path.map { $0[0] }, y: path.map { $0[1] },
            more: [
              ("end", .text(name)),
              (
                "tips", .list(path.indices.map { .text("token \(name), after block \($0)") })
              ),
            ])
        }
        return [
          "x": ["label": .text("first direction, \(shares[0]) of the variance")],
          "y": ["label": .text("second direction, \(shares[1])")],
          "ramp": .range(
            "token", Double(part), Double(max(picture.points.count - 1 + part, part + 1))),
          "series": .list(series.map(\.json)),
        ]
      }
    }
    figure.note = choices.note
    return figure
  }

  /// Mean coupling of tokens, block by block.
  static func tokensAlongDepth(_ run: ReportedRun, _ table: DataTable) -> LiveFigure {
    let (x, means, errors) = (table.column(0), table.column(1), table.column(2))
    var mean = LiveSeries(name: "mean over pairs of tokens", x: x, y: means)
    mean.mark = "dot"
    if errors.contains(where: { $0 != nil }) { mean.more = LiveSeries.ends(means, errors) }
    let null = LiveSeries(
      name: "null level", colour: 1, x: x, y: table.column(3), isDashed: true, mark: nil)
    return LiveFigure([
      .lines(
        x: ["label": "block", "word": "block", "whole": true],
        y: ["label": .text(run.scoreName)],
        series: null.y.contains { $0 != nil } ? [mean, null] : [mean], [("height", 280)])
    ])
  }
}
