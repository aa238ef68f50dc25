import Analysis
import Foundation

/// A report of lens readings: a grid of tokens for each record of `lens read`.
package struct LensReport {
  private let records: [LensReadingRecord]

  /// Reads the records in the given folders. Throws `RunError.badRun`.
  package init(_ folders: [String]) throws {
    records = try folders.map { path throws in try LensReadingRecord(folder: path) }
  }

  /// Writes the figures and the page into a folder, as `RunReport.write(to:before:)` does.
  package func write(to path: String, before step: () throws -> Void = {}) throws {
    let gnuplot = try Gnuplot()
    let folder = try ReportFolder(path)
    do {
      var (body, drawn) = ("", [Figure]())
      for (i, record) in records.enumerated() {
        let given = record.text.map { "“\(plainText($0, limit: 300))”" } ?? "token ids"
        body +=
          "<section id=\"run-\(i + 1)\"><h2><bdi>\(escapedHTML(plainText(record.model.name, limit: 80)))</bdi></h2>\n"
          + "<p class=\"lead\"><bdi>\(escapedHTML(given))</bdi>, read with the lens "
          + "<bdi>\(escapedHTML(plainText(record.reading.lens, limit: 120)))</bdi></p>\n"
        if let figure = Figure.lensGrid(record, stem: "run-\(i + 1)") {
          try step()
          try folder.draw(figure, by: gnuplot)
          body += ReportPage.figure(figure, try folder.picture(of: figure))
          drawn.append(figure)
        }
        body += "</section>\n"
      }
      try step()
      try folder.finish(
        ReportPage(
          title: records.count == 1
            ? plainText(records[0].model.name, limit: 80) : "\(records.count) lens readings",
          lead: "Tokens that averaged Jacobians read out from a prompt's states, layer by layer.",
          body: body, figures: drawn, versions: records.map(\.krylens)))
    } catch {
      folder.takeBack()
      throw error
    }
  }
}
