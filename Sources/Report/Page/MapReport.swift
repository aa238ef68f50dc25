import Analysis
import Foundation

/// Figures of runs of `triplets`, and a page that shows them with the tokens that the vectors favour.
package struct MapReport {
  private let runs: [ReportedMaps]

  /// Reads the records in the given run folders. Throws `RunError.badRun`.
  package init(_ folders: [String]) throws {
    runs = try folders.enumerated().map { try ReportedMaps($1, number: $0 + 1) }
  }

  /// Writes the figures and the page into a folder, as `RunReport.write(to:before:)` does.
  package func write(to path: String, before step: () throws -> Void = {}) throws {
    let gnuplot = try Gnuplot()
    let folder = try ReportFolder(path)
    do {
      var (body, drawn) = ("", [Figure]())
      for run in runs {
        var html = Self.values(run)
        for figure in Self.figures(run) {
          try step()
          try folder.draw(figure, by: gnuplot)
          drawn.append(figure)
          html += ReportPage.figure(figure, try folder.picture(of: figure))
        }
        html += run.maps.indices.prefix(ReportedMaps.mostMaps).map { Self.readOut(run, $0) }
          .joined()
        body +=
          "<section id=\"\(run.stem)\"><h2><bdi>\(escapedHTML(run.label))</bdi></h2>\n\(html)</section>\n"
      }
      try step()
      try folder.finish(
        ReportPage(
          title: runs.count == 1 ? runs[0].label : "\(runs.count) runs of maps",
          lead:
            "Singular triplets of maps between tokens and layer boundaries, each with its measured residual norm.",
          body: body, figures: drawn, versions: runs.map(\.record.head.krylens)))
    } catch {
      folder.takeBack()
      throw error
    }
  }

  private static func figures(_ run: ReportedMaps) -> [Figure] {
    guard !run.maps.isEmpty else { return [] }
    return [Figure.mapSpectrum(run)]
      + run.maps.indices.prefix(ReportedMaps.mostMaps).flatMap {
        [Figure.mapTokens(run, $0), Figure.readOut(run, $0)].compactMap { $0 }
      }
  }

  // MARK: Tables

  /// A table of the maps, one per row, and the prompts that failed.
  private static func values(_ run: ReportedMaps) -> String {
    let columns = ["map", "shape", "from", "to", "linearization", "σ₁", "σₖ", "k", "residual / σ₁"]
    let rows = run.maps.indices.map { m in
      let (prompt, map) = run.maps[m]
      let texts = prompt.flatMap { run.record.prompts[$0].entry.tokens }
      let (first, last) = (map.singularValues.first ?? 0, map.singularValues.last ?? 0)
      let worst = (map.residualNorms.max() ?? 0) / (first > 0 ? first : 1)
      return [
        run.mapInWords(m), map.shape.map(String.init).joined(separator: " × "),
        "\(tokens(map.fromTokens, texts)), boundary \(map.fromLayer)",
        "\(tokens(map.toTokens, texts)), "
          + (Int(map.toLayer.text) == nil ? map.toLayer.text : "boundary \(map.toLayer.text)"),
        map.linearization.rawValue, short(first), short(last), "\(map.singularValues.count)",
        short(worst) + (map.converged ? "" : ", not converged"),
      ]
    }
    let failed = run.record.failures.prefix(10).map {
      "<li><bdi>\(escapedHTML(plainText("\($0)", limit: 300)))</bdi></li>"
    }
    return table(columns, rows)
      + (failed.isEmpty
        ? "" : "<div class=\"notice\">Failed:\n<ul>\(failed.joined(separator: "\n"))</ul></div>\n")
  }

  private static func tokens(_ tokens: [Int]?, _ texts: [String?]?) -> String {
    guard let tokens, let first = tokens.first, let last = tokens.last else {
      return "several tokens"
    }
    if tokens.count == 1 { return "token \(tokenLabel(first, texts))" }
    return tokens.count == last - first + 1
      ? "tokens \(first)–\(last)"
      : "tokens " + tokens.prefix(6).map(String.init).joined(separator: ", ")
        + (tokens.count > 6 ? ", …" : "")
  }

  /// A table of the tokens that the vectors of a map favour, with one row per vector and token position.
  private static func readOut(_ run: ReportedMaps, _ m: Int) -> String {
    let (prompt, map) = run.maps[m]
    guard let found = map.readOut else { return "" }
    let texts = prompt.flatMap { run.record.prompts[$0].entry.tokens }
    var rows: [[String]] = []
    for k in 0..<max(found.left.count, found.right.count) {
      for (name, vectors) in [("u", found.left), ("v", found.right)] where k < vectors.count {
        for part in vectors[k].prefix(3) {
          let place = part.token.map { "token \(tokenLabel($0, texts))" } ?? ""
          rows.append([
            "\(name)\(k + 1)", place, short(part.norm), words(part.favoured),
            words(part.disfavoured),
          ])
        }
      }
    }
    return
      "<details><summary>Every part of the vectors of \(escapedHTML(run.mapInWords(m)))</summary>\n"
      + table(["vector", "at", "norm", "favours", "disfavours"], rows, style: "words")
      + "</details>\n"
  }

  private static func words(_ entries: [ReadOut.Entry]) -> String {
    entries.map { entry in
      let text = TokenText.visible(entry.token ?? "#\(entry.id)")
      return "“\(plainText(text, limit: 24))” \(short(entry.score))"
    }.joined(separator: "  ")
  }

  private static func table(
    _ columns: [String], _ rows: [[String]], style: String = ""
  ) -> String {
    """
    <div class="table \(style)"><table>
    <thead><tr>\(columns.map { "<th scope=\"col\">\(escapedHTML($0))</th>" }.joined())</tr></thead>
    <tbody>
    \(rows.map { row in
      "<tr>\(row.map { "<td\($0.count > 40 ? " class=\"wide\"" : "")><bdi>\(escapedHTML(plainText($0, limit: 600)))</bdi></td>" }.joined())</tr>"
    }.joined(separator: "\n"))
    </tbody>
    </table></div>

    """
  }
}
