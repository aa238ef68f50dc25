import Analysis
import Files
import Foundation

/// What the lens commands print.
enum LensTable {
  /// One line per boundary: what was found, and its errors.
  static func fitted(_ record: LensRecord, folder: String) -> [String] {
    let a = record.applications
    let rows = record.layers.map { layer in
      ["\(layer.fromLayer)"] + layer.singularValues.prefix(3).map(short)
        + [String](repeating: "", count: max(0, 3 - layer.singularValues.count))
        + [layer.frobeniusNorm, layer.errorEstimate].map(short)
        + [layer.standardError.map(short) ?? ""]
    }
    let unfinished =
      record.complete
      ? []
      : unfinishedLines(record.prompts.count, of: record.wantedPrompts, folder: folder)
    guard !rows.isEmpty else { return modelLines(record.model) + unfinished }
    return [
      "\(escaped(record.model.name, limit: 100)): mean over \(counted(record.prompts.count, "prompt")), "
        + "\(counted(record.positions, "position")), to layer \(record.target.layer), "
        + (record.settings.dense ? "in full" : "rank \(record.layers.first?.rank ?? 0)")
    ] + unfinished + [""]
      + aligned([["layer", "σ₁", "σ₂", "σ₃", "‖J‖", "error", "standard error"]] + rows) + [
        "",
        "error: of the kept part; standard error: over prompts; both in the norm of ‖J‖",
        "\(a.jvp) products J v, \(a.vjp) products Jᵀ u; "
          + "\(record.complete ? "written to" : "read from") \(folder)",
      ]
  }

  /// One block of lines per position, one line per boundary.
  static func read(_ reading: LensReading) -> [String] {
    let positions = Set(reading.places.map(\.token)).sorted()
    return positions.flatMap { token -> [String] in
      let text = reading.tokens.map { " \(quoted($0[token], limit: 40))" } ?? ""
      let lines = reading.places.filter { $0.token == token }.map { place in
        padded("\(place.fromLayer)", 5) + "  "
          + place.top.map { $0.text.map { quoted($0, limit: 20) } ?? "\($0.id)" }
          .joined(separator: "  ")
      }
      return ["token \(token)\(text)"] + lines + [""]
    }.dropLast()
  }

  /// One line per boundary that both lenses have.
  static func compared(_ c: LensComparison) -> [String] {
    let rows = c.layers.map { l in
      ["\(l.fromLayer)"] + l.norms.map(short)
        + [fixed(l.distance), l.noise.map(fixed) ?? "", l.cosine.map(fixed) ?? ""]
        + [fixed(l.left), fixed(l.right)]
    }
    let prompts = c.samePrompts.map {
      $0 ? ", fitted on the same prompts" : ", fitted on other prompts"
    }
    let chance = Double(c.rank) / Double(c.width)
    return [
      "A  \(escaped(c.lenses[0], limit: 200))",
      "B  \(escaped(c.lenses[1], limit: 200))\(prompts ?? "")", "",
    ]
      + aligned([["layer", "‖A‖", "‖B‖", "distance", "noise", "cosine", "left", "right"]] + rows)
      + [""]
      + wrapped(
        "distance: ‖A − B‖ over the root mean square of both norms; noise: the distance due to the choice of prompts alone, "
          + "from the halves of both lists")
      + wrapped(
        "left, right: overlap of the \(c.rank) leading vectors, 1 for the same subspace, \(short(chance)) by chance"
      )
  }

  private static func fixed(_ x: Double) -> String { String(format: "%.4f", x) }
}
