import Alignment
import Analysis
import Foundation

/// What `align` prints: for every prompt one line a block, then the prompt's figures; last a summary of the run.
struct AlignmentTable {
  let text: String

  init(_ result: RunResult, folder: String) {
    let record = result.record
    let m = record.model
    var lines = [
      "\(m.name): \(m.family), \(m.layers) blocks, width \(m.width), "
        + "\(Self.millions(m.parameters)) parameters, \(m.storedTypes.joined(separator: " "))"
    ]
    for (p, prompt) in result.prompts.enumerated() {
      lines.append("")
      lines += Self.prompt(prompt, number: result.prompts.count > 1 ? p + 1 : nil, record.settings)
    }
    let s = record.seconds
    lines += [
      "",
      String(
        format: "%.2f s (load %.2f, solve %.2f, coupling %.2f); ", s.total, s.load, s.solve,
        s.coupling)
        + "peak memory \(Self.megabytes(record.peakMemoryBytes)), of it "
        + "\(Self.megabytes(record.peakPrivateBytes)) beyond mapped weights",
      "written to \(folder)",
    ]
    text = lines.joined(separator: "\n")
  }

  private static func prompt(
    _ result: PromptResult, number: Int?, _ settings: RunSettings
  ) -> [String] {
    let prompt = result.record
    // The table's columns show the largest rank.
    let coupling = result.shown.max { $0.setting.rank < $1.setting.rank }!
    let (first, rank) = (prompt.layers[0], coupling.setting.rank)
    let pair =
      first.fromToken == first.toToken
      ? "token \(first.toToken)" : "token \(first.fromToken) to token \(first.toToken)"
    var lines = [
      title(prompt, number),
      "Jacobians of \(pair), site \(settings.site.rawValue), last block \(settings.last.rawValue); "
        + "coupling at rank \(rank): \(settings.sign.rawValue), \(settings.normalisation), "
        + "\(settings.form.rawValue), \(settings.score.rawValue)",
      "",
    ]
    // The first three values, and the last that was asked for.
    let shown = Set([1, 2, 3, settings.top]).filter { $0 <= settings.top }.sorted()
    lines.append(
      "block" + shown.map { padded("σ" + lowered($0), 10) }.joined()
        + "  residual/σ₁  products  passes  coupling→next     null")
    for (i, l) in prompt.layers.enumerated() {
      let s = l.singularValues
      let worst = (l.residualNorms.max() ?? 0) / (s[0] > 0 ? s[0] : 1)
      let next = i + 1 < prompt.layers.count ? coupling.matrix[i][i + 1] : nil
      let columns =
        [padded("\(l.layer)", 5)] + shown.map { padded(number4(s[$0 - 1]), 10) } + [
          padded(String(format: "%.1e", worst), 13),
          padded("\(l.applications.jvp + l.applications.vjp)", 10), padded("\(l.passes)", 8),
          padded(next.map { String(format: "%.4f", $0) } ?? "", 15),
          padded((coupling.null?[i] ?? nil).map { String(format: "%.4f", $0) } ?? "", 9),
          l.converged ? "" : "  not converged",
        ]
      lines.append(columns.joined())
    }
    lines.append("")
    for coupling in result.shown {
      if let mean = mean(coupling, settings.diagonal) { lines.append(mean) }
    }
    let t = prompt.trajectory
    if let shape = t.lineShapeScore.last ?? nil, let growth = t.growth.last ?? nil {
      var line = String(
        format: "last token's path: line-shape score %.3f, growth %.4f a block", shape, growth)
      if let e = t.expodistance.last ?? nil { line += String(format: ", expodistance %.3f", e) }
      if let c = t.linearisedPathCosine {
        line += String(format: ", cosine of the linearised path %.3f", c)
      }
      lines.append(line)
    }
    if let fit = prompt.inverseLeadingFit, let r = fit.rSquared {
      lines.append(
        String(
          format: "1/σ₁ against depth from block %d: slope %.2e, R² %.3f", fit.start, fit.slope, r))
    }
    for l in prompt.layers {
      if let remedy = l.remedy { lines.append("block \(l.layer): \(remedy)") }
    }
    return lines
  }

  private static func title(_ prompt: PromptRecord, _ number: Int?) -> String {
    let tokens = prompt.trajectory.norms[0].count
    let name = prompt.image == nil ? "prompt" : "image"
    var title = number.map { "\(name) \($0): " } ?? "\(name): "
    let given = prompt.text ?? prompt.image
    title += given.map { "\(quoted($0)), \(tokens) tokens" } ?? "\(tokens) token ids"
    if let encoder = prompt.encoderTokenIds { title += ", behind \(encoder.count) of the encoder" }
    if let token = prompt.nextToken {
      title += ", next token \(quoted(token))"
    } else if let id = prompt.nextTokenId {
      title += ", next token id \(id)"
    }
    return title
  }

  private static func mean(_ coupling: CouplingMatrix, _ diagonal: DiagonalMode) -> String? {
    guard let mean = coupling.mean(diagonal: diagonal) else { return nil }
    let nulls = (coupling.null ?? []).compactMap { $0 }
    let null = nulls.isEmpty ? nil : nulls.reduce(0, +) / Double(nulls.count)
    return "mean coupling at rank \(coupling.setting.rank) (\(coupling.setting.score.rawValue), "
      + "diagonal \(diagonal.rawValue)): " + String(format: "%.4f", mean)
      + (null.map { String(format: ", null level %.4f", $0) } ?? "")
  }

  // MARK: Numbers and names

  /// Right-aligned; counts characters, which `String(format:)` does not.
  private static func padded(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
  }

  private static func number4(_ x: Double) -> String {
    x == 0 || (abs(x) >= 0.01 && abs(x) < 1e5)
      ? String(format: "%.4f", x) : String(format: "%.3e", x)
  }

  /// In quotes, control characters escaped: a token or a prompt must not steer the terminal.
  private static func quoted(_ text: String) -> String {
    let escaped = text.unicodeScalars.map { scalar in
      scalar.properties.generalCategory == .control || scalar.properties.generalCategory == .format
        ? scalar.escaped(asASCII: true) : String(scalar)
    }.joined()
    return "\"\(escaped.count > 100 ? escaped.prefix(97) + "…" : escaped[...])\""
  }

  private static func lowered(_ n: Int) -> String {
    String(
      String.UnicodeScalarView(
        "\(n)".unicodeScalars.map { Unicode.Scalar($0.value - 48 + 0x2080)! }))
  }

  private static func millions(_ n: Int) -> String {
    n >= 1_000_000 ? String(format: "%.1f M", Double(n) / 1e6) : "\(n)"
  }

  private static func megabytes(_ bytes: Int) -> String {
    String(format: "%.0f MB", Double(bytes) / 1e6)
  }
}
