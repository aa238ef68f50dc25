import Analysis

extension Figure {
  /// The tokens that the vectors of a map favour and disfavour, one row per vector; nil without a read-out.
  static func readOut(_ run: ReportedMaps, _ m: Int) -> Figure? {
    let (prompt, map) = run.maps[m]
    guard let found = map.readOut else { return nil }
    let tokens = prompt.flatMap { run.record.prompts[$0].entry.tokens }
    var (rows, cells): ([String], [[WordGrid.Cell?]]) = ([], [])
    let parts = found.left.map { $0.first } + found.right.map { $0.first }
    let count = parts.compactMap { $0?.favoured.count }.max() ?? 0
    for k in 0..<max(found.left.count, found.right.count) {
      for (name, vectors) in [("u", found.left), ("v", found.right)] where k < vectors.count {
        // For a vector of several tokens, the token with the largest part.
        guard let part = vectors[k].first else { continue }
        let place =
          vectors[k].count > 1 ? part.token.map { " at \(tokenLabel($0, tokens))" } ?? "" : ""
        rows.append("\(name)\(k + 1)\(place)")
        cells.append(
          row(part.favoured, count) + row(part.disfavoured, count).reversed())
      }
    }
    let names = (1...max(count, 1)).map { "\($0)" }
    return WordGrid(
      name: "\(run.stem)-read-out-\(m + 1)", title: "Tokens that the vectors favour",
      caption:
        "The tokens with the highest scores (left, best first) and the lowest scores (right, lowest last) of each singular "
        + "vector of \(run.mapInWords(m)); a vector of several tokens is read at the one with its largest part. "
        + "The score is a logit: the vector, scaled to unit mean square, goes through the final norm and the unembedding, "
        + "as does its negative, and half the difference is taken. The common sign of u and v is arbitrary.",
      axes: ("vector", "favoured, then disfavoured", "score"), words: ("vector", "place"),
      rows: rows, columns: names.map { "+\($0)" } + names.reversed().map { "−\($0)" }, cells: cells
    ).figure
  }

  private static func row(_ entries: [ReadOut.Entry], _ count: Int) -> [WordGrid.Cell?] {
    (0..<count).map { i in
      i < entries.count
        ? (TokenText.visible(entries[i].token ?? "#\(entries[i].id)"), entries[i].score) : nil
    }
  }

  /// The most likely token that a lens reads at each boundary and position; nil if nothing was read.
  static func lensGrid(_ record: LensReadingRecord, stem: String) -> Figure? {
    let places = record.reading.places
    let (layers, positions) = (
      Set(places.map(\.fromLayer)).sorted(by: >), Set(places.map(\.token)).sorted()
    )
    let best = Dictionary(
      places.compactMap { place in
        place.top.first.map { ([place.fromLayer, place.token], $0) }
      }, uniquingKeysWith: { first, _ in first })
    let last = record.model.layers
    return WordGrid(
      name: "\(stem)-grid", title: "Tokens that the lens reads",
      caption:
        "The most likely token at each layer boundary and position, coloured by its logit. Boundary 0 is the embedding; "
        + "\(last) is the model's own prediction of the next token.",
      axes: ("boundary", "position", "logit"), words: ("boundary", "position"),
      rows: layers.map { $0 == last ? "\($0) (model)" : "\($0)" },
      columns: positions.map { t in
        "\(t)" + (record.reading.tokens.map { " " + TokenText.visible($0[t]) } ?? "")
      },
      cells: layers.map { layer in
        positions.map { t in
          best[[layer, t]].map { (TokenText.visible($0.text ?? "#\($0.id)"), $0.logit) }
        }
      }
    ).figure
  }
}
