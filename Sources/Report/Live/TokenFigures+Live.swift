import Alignment

extension LiveFigure {
  /// Coupling between a prompt's tokens at some of the blocks, in every recorded reading.
  static func tokens(_ run: ReportedRun, _ colors: ColorScale, _ drawn: TokenTables) -> LiveFigure?
  {
    let (readings, settings) = run.readings
    let places = drawn.drawn.map(\.table.place)
    let entries = drawn.drawn.map { $0.mean.rows.count * $0.mean.columns.count }.reduce(0, +)
    let bytes = 12 * entries * settings.count
    guard bytes <= run.liveBytes else { return nil }
    let choices = PromptChoices(run, bytesEach: bytes, hasMean: false) { p in
      let tables = run.tables[p]
      return places.allSatisfy { place in
        tables.contains { $0.place.layer == place.layer && $0.rows.count > 1 }
      }
    }
    guard !choices.options.isEmpty else { return nil }
    var figure = LiveFigure(
      readings + [choices.control],
      places.map { place in
        [
          "type": "heat", "digits": 5, "basis": 330, "title": .text("block \(place.layer ?? 0)"),
          "missing": "a Jacobian in its own basis",
        ]
      }
    ) { choice in
      let setting = settings[Array(choice.dropLast())] ?? run.setting
      let p = choices.options[choice[choice.count - 1]].prompts[0]
      let tables = places.map { place in
        run.record.prompts[p].coupling.first {
          $0.kind == run.kind && $0.setting == setting && $0.place.layer == place.layer
        }.flatMap { MeanTable([$0]) }
      }
      let telling = tables.flatMap { $0?.telling ?? [] }
      let (low, high) =
        setting == run.setting
        ? (colors.lowest, colors.highest) : (telling.min() ?? 0, telling.max() ?? 1)
      return tables.map { table in
        let (rows, columns) = (table?.rows ?? [], table?.columns ?? [])
        let axis = { (label: String, word: String, names: [Int]) -> PageJSON in
          [
            "label": .text(label), "word": .text(word),
            "names": .list(names.map { .text(run.tokenName($0, prompt: p)) }),
          ]
        }
        return .object(
          (table?.liveEntries ?? [("values", [])]) + [
            ("x", axis("token t′: the basis", "basis of token", columns)),
            ("y", axis("token t: the Jacobian", "token", rows)),
            ("colour", .range(run.scoreName, low, high > low ? high : low + 1e-6)),
          ])
      }
    }
    figure.note = choices.note
    return figure
  }
}
