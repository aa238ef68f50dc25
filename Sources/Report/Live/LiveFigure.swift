/// The interactive version of a figure for the page's script: panels, and controls that switch between views of them.
///
/// It contains all displayed numbers; the script computes only positions and colours.
struct LiveFigure {
  /// The controls above the figure.
  var controls: [Control] = []
  /// The properties that all views share, one object per panel.
  var panels: [PageJSON]
  /// The further properties of the panels for each choice of options; the key consists of the option numbers (`0.2.1`).
  var views: [(key: String, panels: [PageJSON])]
  /// A note about the available choices.
  var note: String?

  /// The largest number of bytes that views of single prompts add to a page; the record contains all prompts.
  static let pageBytes = 6_000_000

  /// A control that selects one of several options.
  struct Control {
    var label: String
    var options: [String]
    var start = 0
    /// For a control that only hides values, the limit of each option: the largest visible place on the horizontal axis, or, in
    /// panels with `limitsLevels`, the largest visible level of a series.
    var limits: [Int]?
  }

  /// A figure without controls.
  init(_ panels: [PageJSON]) {
    self.panels = panels
    views = [("", panels.map { _ in [:] })]
  }

  /// A figure with controls; `view` returns the panels for a choice of one option per control. Controls with a single option
  /// are omitted.
  init(_ controls: [Control], _ panels: [PageJSON], view: ([Int]) -> [PageJSON]) {
    self.controls = controls.filter { $0.options.count > 1 }
    self.panels = panels
    var choices: [[Int]] = [[]]
    for control in controls where control.limits == nil {
      choices = choices.flatMap { choice in control.options.indices.map { choice + [$0] } }
    }
    let isKept = controls.filter { $0.limits == nil }.map { $0.options.count > 1 }
    views = choices.map { choice in
      let key = zip(choice, isKept).filter(\.1).map { "\($0.0)" }.joined(separator: ".")
      return (key, view(choice))
    }
  }

  /// The figure as JSON for the page.
  var json: PageJSON {
    [
      "controls": .list(
        controls.map { control in
          .object(
            [
              ("label", .text(control.label)), ("options", .texts(control.options, limit: 80)),
              ("start", .literal("\(control.start)")),
            ]
              + (control.limits.map { [("limit", .list($0.map { .literal("\($0)") }))] } ?? []))
        }),
      "note": note.map { .text($0) } ?? .null, "panels": .list(panels),
      "views": .object(views.map { ($0.key, .list($0.panels)) }),
    ]
  }
}

/// A series of points, and how it is drawn.
struct LiveSeries {
  var name: String?
  /// The number of a categorical colour; unused if `level` gives a position on the colour scale.
  var colour = 0
  var level: Double?
  var x: [Double?]
  var y: [Double?]
  /// Further JSON members that the script reads: `low`, `high`, `xlow`, `xhigh`, `bounds`, `labels`, `tips`, `end`.
  var more: [(String, PageJSON)] = []
  var isLine = true
  var isDashed = false
  var isBand = false
  /// The shape of the points: `dot`, `small`, `square`, `cross`; nil for no points.
  var mark: String? = "small"
  /// Whether the series is omitted from the key.
  var isSilent = false
  var isFaint = false

  var json: PageJSON {
    var members: [(String, PageJSON)] = [
      ("colour", .literal("\(colour)")), ("x", .numbers(x)), ("y", .numbers(y)),
    ]
    if let name { members.append(("name", .text(plainText(name, limit: 60)))) }
    if let level { members.append(("level", .number(level))) }
    if let mark { members.append(("mark", .text(mark))) }
    let flags = [
      ("isLine", isLine), ("isDashed", isDashed), ("isBand", isBand), ("isSilent", isSilent),
      ("isFaint", isFaint),
    ]
    return .object(members + flags.filter(\.1).map { ($0.0, true) } + more)
  }
}

extension PageJSON {
  /// A panel of lines.
  static func lines(
    x: PageJSON, y: PageJSON, series: [LiveSeries] = [], _ more: [(String, PageJSON)] = []
  ) -> PageJSON {
    .object(
      [("type", "lines"), ("x", x), ("y", y), ("series", .list(series.map(\.json)))] + more)
  }

  /// The colour scale from `low` to `high`.
  static func range(_ label: String, _ low: Double, _ high: Double) -> PageJSON {
    ["label": .text(label), "low": .number(low), "high": .number(high)]
  }
}
