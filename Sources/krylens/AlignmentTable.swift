import Alignment
import Analysis
import Foundation

/// What `align` prints: for every prompt one line a block, then the prompt's figures, or of many prompts a line each; last
/// the figures of the run.
struct AlignmentTable {
  let text: String

  /// Tables of a line a block that are printed at most.
  private static let mostTables = 4

  init(_ result: RunResult, folder: String) {
    let record = result.record
    let m = record.model
    var lines = [
      "\(m.name): \(m.family), \(m.layers) blocks, width \(m.width), "
        + "\(millions(m.parameters)) parameters, \(m.storedTypes.joined(separator: " "))"
    ]
    let tables = result.prompts.map { Self.tables($0, record.settings) }
    let isBrief = tables.joined().count > Self.mostTables
    if isBrief { lines += ["", Self.what(record.settings, nil)] }
    for (p, prompt) in result.prompts.enumerated() {
      let number = result.prompts.count > 1 ? p + 1 : nil
      if isBrief {
        lines += Self.brief(prompt, number: p + 1, record.settings)
      } else {
        lines += ["", Self.title(prompt.record, number)]
        lines += tables[p].flatMap { $0 }
        lines += Self.figures(prompt, record.settings)
      }
    }
    if result.prompts.count > 1 {
      lines += [""] + Self.study(record)
    } else if isBrief {
      lines += [""] + Self.figures(result.prompts[0], record.settings)
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

  // MARK: One prompt

  /// Across depth a table a pair of tokens, else one of all blocks.
  private static func tables(_ result: PromptResult, _ settings: RunSettings) -> [[String]] {
    let rank = result.shown.map(\.setting.rank).max()
    let shown = result.shown.filter { $0.setting.rank == rank }
    guard settings.kind == .depth else { return [tokens(result.record, shown, settings)] }
    return shown.map { depth(result.record, $0, settings) }
  }

  /// A line a block: values, proof, and the coupling with the next block.
  private static func depth(
    _ prompt: PromptRecord, _ coupling: CouplingMatrix, _ settings: RunSettings
  ) -> [String] {
    let place = coupling.place
    let pair =
      place.fromToken == place.toToken
      ? "token \(place.toToken ?? 0)"
      : "token \(place.fromToken ?? 0) to token \(place.toToken ?? 0)"
    var lines = [what(settings, pair), ""]
    // The first three values, and the last that was asked for.
    let shown = Set([1, 2, 3, settings.top]).filter { $0 <= settings.top }.sorted()
    lines.append(
      "block" + shown.map { padded("σ" + lowered($0), 10) }.joined()
        + "  residual/σ₁  products  passes  coupling→next     null")
    let layers = prompt.layers.filter {
      $0.fromToken == place.fromToken && $0.toToken == place.toToken
    }
    for (i, l) in layers.enumerated() {
      let next = i + 1 < layers.count ? coupling.matrix[i][i + 1] : nil
      let columns =
        [padded("\(l.layer)", 5)] + shown.map { padded(number4(l.singularValues[$0 - 1]), 10) } + [
          padded(String(format: "%.1e", worst(l)), 13),
          padded("\(l.applications.jvp + l.applications.vjp)", 10), padded("\(l.passes)", 8),
          padded(fixed(next), 15), padded(fixed(coupling.null?[i] ?? nil), 9),
          l.converged ? "" : "  not converged",
        ]
      lines.append(columns.joined())
    }
    return lines + [""]
  }

  /// A line a block: how far its leading values go apart over the tokens, and the mean coupling of its tokens.
  private static func tokens(
    _ prompt: PromptRecord, _ shown: [CouplingMatrix], _ settings: RunSettings
  ) -> [String] {
    var lines = [what(settings, nil), ""]
    lines.append("block  tokens   least σ₁    most σ₁  residual/σ₁  mean coupling     null")
    for table in shown {
      let layers = prompt.layers.filter { $0.layer == table.place.layer }
      let leading = layers.map { $0.singularValues[0] }
      let columns = [
        padded("\(table.place.layer ?? 0)", 5), padded("\(layers.count)", 8),
        padded(number4(leading.min() ?? 0), 11), padded(number4(leading.max() ?? 0), 11),
        padded(String(format: "%.1e", layers.map(worst).max() ?? 0), 13),
        padded(fixed(table.mean(diagonal: settings.diagonal)), 15),
        padded(fixed(nullMean(table)), 9),
        layers.allSatisfy(\.converged) ? "" : "  not converged",
      ]
      lines.append(columns.joined())
    }
    return lines + [""]
  }

  /// The prompt's own figures.
  private static func figures(_ result: PromptResult, _ settings: RunSettings) -> [String] {
    let prompt = result.record
    var lines: [String] = []
    for rank in settings.ranks {
      if let mean = mean(result.shown.filter { $0.setting.rank == rank }, settings.diagonal) {
        lines.append(mean)
      }
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
    return lines + remedies(prompt)
  }

  /// What a solve that did not converge says.
  private static func remedies(_ prompt: PromptRecord) -> [String] {
    prompt.layers.compactMap { l in l.remedy.map { "block \(l.layer): \($0)" } }
  }

  /// One of many prompts, on one line.
  private static func brief(
    _ result: PromptResult, number: Int, _ settings: RunSettings
  ) -> [String] {
    let t = result.record.trajectory
    let rank = result.shown.map(\.setting.rank).max()
    let shown = result.shown.filter { $0.setting.rank == rank }
    let mean = MeanEstimate(shown.compactMap { $0.mean(diagonal: settings.diagonal) })?.mean
    let figures =
      padded("\(number)", 4) + "  coupling" + padded(fixed(mean), 8) + "  line shape"
      + padded(fixed(t.lineShapeScore.last ?? nil), 8) + "  growth"
      + padded(fixed(t.growth.last ?? nil), 8)
    let name = result.record.text ?? result.record.image
    return [
      figures + "  \(t.norms.first?.count ?? 0) tokens" + (name.map { " \(quoted($0, 40))" } ?? "")
    ]
      + remedies(result.record).map { "      \($0)" }
  }

  // MARK: All prompts

  /// Means over the prompts, with their standard errors and bootstrap intervals.
  private static func study(_ record: RunRecord) -> [String] {
    let s = record.settings
    var lines = ["over \(record.prompts.count) prompts, paths of the last token:"]
    for rank in s.ranks {
      let setting = CouplingSetting(
        rank: rank, sign: s.sign,
        normalisation: CouplingNormalisation(rawValue: s.normalisation) ?? .frobenius, form: s.form)
      // Statistics are of the one-minus score, as the record is.
      if let found = record.statistics.coupling(s.kind, setting) {
        lines.append(
          padded("coupling, rank \(rank)", 24) + spoken(found.value)
            + (found.null.map { String(format: ", null level %.4f", $0) } ?? ""))
      }
    }
    let names: [(TrajectoryStatistic.Quantity, TrajectoryStatistic.Tokens, String)] = [
      (.lineShapeScore, .last, "line-shape score"), (.growth, .last, "growth a block"),
      (.expodistance, .last, "expodistance"), (.linearisedPathCosine, .selected, "linearised path"),
    ]
    for (quantity, tokens, name) in names {
      if let value = record.statistics.trajectory(quantity, tokens)?.value, value.count > 0 {
        lines.append(padded(name, 24) + spoken(value))
      }
    }
    return lines
  }

  private static func spoken(_ value: PromptMean) -> String {
    guard let mean = value.mean else { return "  not defined" }
    var text = "  " + fixed(mean)
    if let error = value.standardError { text += String(format: " ± %.4f", error) }
    if let i = value.interval {
      text += String(format: ", %.0f %% interval %.4f to %.4f", 100 * i.level, i.lower, i.upper)
    }
    return text
  }

  // MARK: Parts

  private static func what(_ settings: RunSettings, _ pair: String?) -> String {
    let rank = settings.ranks.max() ?? 0
    let jacobians: String
    switch settings.kind {
    case .depth: jacobians = pair.map { "Jacobians of \($0)" } ?? "Jacobians across depth"
    case .tokens: jacobians = "Jacobians of each token, compared within a block"
    case .contextInput: jacobians = "Jacobians of a common input token"
    case .contextOutput: jacobians = "Jacobians of a common output token"
    }
    return "\(jacobians), site \(settings.site.rawValue), last block \(settings.last.rawValue); "
      + "coupling at rank \(rank): \(settings.sign.rawValue), \(settings.normalisation), "
      + "\(settings.form.rawValue), \(settings.score.rawValue)"
  }

  private static func worst(_ l: LayerRecord) -> Double {
    (l.residualNorms.max() ?? 0) / (l.singularValues[0] > 0 ? l.singularValues[0] : 1)
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

  /// Of all the tables of a rank.
  private static func mean(_ tables: [CouplingMatrix], _ diagonal: DiagonalMode) -> String? {
    guard let setting = tables.first?.setting,
      let mean = MeanEstimate(tables.compactMap { $0.mean(diagonal: diagonal) })?.mean
    else { return nil }
    let null = MeanEstimate(tables.compactMap(nullMean))?.mean
    return "mean coupling at rank \(setting.rank) (\(setting.score.rawValue), "
      + "diagonal \(diagonal.rawValue)): " + String(format: "%.4f", mean)
      + (null.map { String(format: ", null level %.4f", $0) } ?? "")
  }

  private static func nullMean(_ table: CouplingMatrix) -> Double? {
    MeanEstimate((table.null ?? []).compactMap { $0 })?.mean
  }

  // MARK: Numbers and names

  private static func fixed(_ x: Double?) -> String { x.map { String(format: "%.4f", $0) } ?? "" }

  private static func number4(_ x: Double) -> String {
    x == 0 || (abs(x) >= 0.01 && abs(x) < 1e5)
      ? String(format: "%.4f", x) : String(format: "%.3e", x)
  }

  private static func quoted(_ text: String, _ limit: Int = 100) -> String {
    "\"\(printable(text, limit))\""
  }

  private static func lowered(_ n: Int) -> String {
    String(
      String.UnicodeScalarView(
        "\(n)".unicodeScalars.map { Unicode.Scalar($0.value - 48 + 0x2080)! }))
  }

  private static func megabytes(_ bytes: Int) -> String {
    String(format: "%.0f MB", Double(bytes) / 1e6)
  }
}
