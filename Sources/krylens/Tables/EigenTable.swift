import Analysis
import Files
import Foundation

/// What `eigen` prints, from the record alone: for each prompt one line per operator, then its exponents.
struct EigenTable {
  let text: String

  /// The most prompts whose tables are printed.
  private static let mostTables = 4

  init(_ record: EigenRecord, folder: String) {
    let (head, finished) = (record.head, record.prompts.enumerated().filter(\.element.isFinished))
    var lines = modelLines(head.model)
    if !head.complete {
      lines += unfinishedLines(finished.count, of: record.prompts.count, folder: folder)
    }
    for (p, prompt) in finished.prefix(Self.mostTables) {
      lines += [""] + Self.lines(prompt, number: record.prompts.count > 1 ? p + 1 : nil)
    }
    let more = finished.count - Self.mostTables
    if more > 0 {
      lines += [
        "", counted(more, "more prompt") + (head.complete ? " in \(folder)/result.json" : ""),
      ]
    }
    lines.append("")
    if head.complete {
      let s = head.seconds
      lines += [
        String(format: "%.2f s (load %.2f, solve %.2f)", s.total, s.load, s.solve),
        memoryLine(head.peakMemoryBytes, head.peakPrivateBytes),
      ]
    }
    lines.append(head.complete ? "written to \(folder)" : "read from \(folder)")
    text = lines.joined(separator: "\n")
  }

  private static func lines(_ prompt: EigenPromptRecord, number: Int?) -> [String] {
    if let failed = prompt.entry.failed { return [escaped("\(failed)")] }
    let given =
      (prompt.entry.text ?? prompt.entry.image).map { quoted($0, limit: 60) }
      ?? counted(prompt.entry.tokenIds?.count ?? 0, "token id")
    let spectra = prompt.spectra
    var lines = ["prompt\(number.map { " \($0)" } ?? ""): \(given)"]
    guard let first = spectra.first else { return lines + exponents(prompt) }
    lines.append(
      "eigenvalues of I + J at \(tokens(first.tokens)), λ₁ to λ\(first.eigenvalues.count) by modulus"
    )
    let shown = min(first.eigenvalues.count, 3)
    let header =
      [first.layer == nil ? "boundaries" : "block"] + (0..<shown).map { "λ\(subscripted($0 + 1))" }
      + ["|λ\(subscripted(first.eigenvalues.count))|", "departure", "residual"]
    let rows = spectra.map { s in
      [s.layer.map { "\($0)" } ?? "\(s.fromLayer) to \(s.toLayer)"]
        + s.eigenvalues.prefix(shown).map(complex)
        + [
          short(modulus(s.eigenvalues.last ?? [0, 0])),
          String(format: "%.4f", s.departureFromNormality),
          String(
            format: "%.0e",
            (s.residualNorms.max() ?? 0) / max(modulus(s.eigenvalues[0]), .leastNormalMagnitude)),
        ]
    }
    lines += aligned([header] + rows)
    lines += spectra.compactMap { s in
      s.remedy.map {
        "\(s.layer.map { "block \($0)" } ?? "boundaries \(s.fromLayer) to \(s.toLayer)"): "
          + escaped(SettingMessage(recorded: $0).inOptions)
      }
    }
    return lines + exponents(prompt)
  }

  private static func exponents(_ prompt: EigenPromptRecord) -> [String] {
    guard let values = prompt.found.lyapunovExponents, let how = prompt.found.lyapunov else {
      return []
    }
    let shown = values.map {
      $0.map { String(format: "%.4f", $0).replacing("-", with: "−") } ?? "−∞"
    }
    let note =
      how.converged
      ? "" : how.change.map { String(format: " (last change %.1e)", $0) } ?? " (one sweep)"
    return wrapped(
      "exponents per block of token \(how.token): \(shown.joined(separator: " "))\(note)",
      tableWidth)
  }

  private static func tokens(_ tokens: [Int]) -> String {
    tokens.count == 1
      ? "token \(tokens[0])"
      : "tokens \(tokens.prefix(8).map(String.init).joined(separator: ","))\(tokens.count > 8 ? ",…" : "")"
  }

  private static func modulus(_ λ: [Double]) -> Double {
    (λ[0] * λ[0] + λ[1] * λ[1]).squareRoot()
  }

  /// A complex number, `1.608+0.783i`; if it is real, the real part alone.
  private static func complex(_ λ: [Double]) -> String {
    let real = short(λ[0]).replacing("-", with: "−")
    guard λ[1] != 0 else { return real }
    return "\(real)\(λ[1] < 0 ? "−" : "+")\(short(abs(λ[1])))i"
  }

  private static func subscripted(_ n: Int) -> String {
    String(
      String.UnicodeScalarView(
        "\(n)".unicodeScalars.map { Unicode.Scalar($0.value - 48 + 0x2080) ?? $0 }))
  }
}
