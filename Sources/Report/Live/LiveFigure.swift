/// What a figure is drawn from by the page's script: panels, and switches between ways of showing them.
///
/// Everything the script shows is in here; it computes nothing but places and colours.
struct LiveFigure {
  /// Choices above the figure.
  var controls: [Control] = []
  /// What every view has in common, one object per panel.
  var panels: [PageJSON]
  /// For each choice of options, by their numbers (`0.2.1`), what the panels have besides.
  var views: [(key: String, panels: [PageJSON])]
  /// What a reader must know of the choice.
  var note: String?

  /// Bytes that single prompts add to a page at most; the rest can be read in the record.
  static let pageBytes = 6_000_000

  /// A switch.
  struct Control {
    var label: String
    var options: [String]
    var start = 0
    /// Of a switch that only hides what lies beyond, the largest place on the horizontal axis for every option.
    var limits: [Int]?
  }

  /// A figure without switches.
  init(_ panels: [PageJSON]) {
    self.panels = panels
    views = [("", panels.map { _ in [:] })]
  }

  /// A figure with switches; `view` gives the panels of a choice of one option for each. Switches of one option are none.
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

  /// For the page.
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

/// How a line or its points look.
struct LiveSeries {
  var name: String?
  /// One of the palette's categories, or with `level` a place on its scale.
  var colour = 0
  var level: Double?
  var x: [Double?]
  var y: [Double?]
  /// Members by the names that the script knows them by: `low`, `high`, `xlow`, `xhigh`, `bounds`, `labels`, `tips`, `end`.
  var more: [(String, PageJSON)] = []
  var isLine = true
  var isDashed = false
  var isBand = false
  /// `dot`, `small`, `square`, `cross`; nil for none.
  var mark: String? = "small"
  /// Whether it is left out of the key.
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

  /// An end of a palette's scale to the other.
  static func range(_ label: String, _ low: Double, _ high: Double) -> PageJSON {
    ["label": .text(label), "low": .number(low), "high": .number(high)]
  }
}
