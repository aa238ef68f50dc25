import Files
import Alignment
import Analysis
import Foundation

/// What is printed for one prompt: one line per block, and the prompt's figures.
struct PromptTable {
  let prompt: PromptRecord
  /// For coupling across depth one table per pair of tokens, otherwise one for all blocks; none if nothing is known.
  let tables: [[String]]
  private let number: Int
  private let settings: RunSettings
  /// The coupling that is shown, at each rank.
  private let shown: [CouplingMatrix]

  init(_ prompt: PromptRecord, number: Int, _ settings: RunSettings) {
    (self.prompt, self.number, self.settings) = (prompt, number, settings)
    let shown = prompt.shown(settings)
    self.shown = shown
    let rank = shown.map(\.setting.rank).max()
    let largest = shown.filter { $0.setting.rank == rank }
    if prompt.layers.isEmpty {
      tables = []
    } else if settings.kind == .depth {
      var pairs: [(from: Int, to: Int)] = []
      for l in prompt.layers where !pairs.contains(where: { $0 == (l.fromToken, l.toToken) }) {
        pairs.append((l.fromToken, l.toToken))
      }
      tables = pairs.map { pair in
        let coupling = largest.first {
          $0.place.fromToken == pair.from && $0.place.toToken == pair.to
        }
        return Self.depth(prompt, from: pair.from, to: pair.to, coupling, settings)
      }
    } else {
      tables = [Self.tokens(prompt, largest, settings)]
    }
  }

  /// The title, the tables and the figures.
  func lines(isNumbered: Bool) -> [String] {
    if let failed = prompt.failed { return [escaped("\(failed)")] }
    return [title(isNumbered)] + tables.flatMap { $0 } + figures
  }

  // MARK: Tables

  /// One line per block: singular values, residual and cost, and the coupling with the next block.
  private static func depth(
    _ prompt: PromptRecord, from: Int, to: Int, _ coupling: CouplingMatrix?, _ settings: RunSettings
  ) -> [String] {
    let pair = (from == to ? [to] : [from, to]).map { tokenName($0, of: prompt.tokens) }
      .joined(separator: " to ")
    // The first three values, and the last one requested.
    let values = Set([1, 2, 3, settings.top]).filter { $0 <= settings.top }.sorted()
    var lines = what(settings, pair) + [""]
    lines.append(
      "block" + values.map { padded("σ" + lowered($0), 8) }.joined()
        + " residual products passes   →next    null")
    let layers = prompt.layers.filter { $0.fromToken == from && $0.toToken == to }
    for (i, l) in layers.enumerated() {
      let row = coupling?.rows.firstIndex(of: l.layer)
      let next =
        i + 1 < layers.count
        ? coupling?.columns.firstIndex(of: layers[i + 1].layer) : nil
      let score = row.flatMap { row in next.flatMap { coupling?.matrix[row][$0] } }
      let null = row.flatMap { coupling?.null?[$0] }
      let columns =
        [padded("\(l.layer)", 5)]
        + values.map { k in
          padded(k <= l.singularValues.count ? number7(l.singularValues[k - 1]) : "", 8)
        } + [
          padded(String(format: "%.1e", worst(l)), 9),
          padded("\(l.applications.jvp + l.applications.vjp)", 9), padded("\(l.passes)", 7),
          padded(fixed(score), 8), padded(fixed(null), 8), l.converged ? "" : " *",
        ]
      lines.append(columns.joined())
    }
    return lines + mark(layers) + [""]
  }

  /// One line per block: the range of its leading values over the tokens, and the mean coupling of its tokens.
  private static func tokens(
    _ prompt: PromptRecord, _ shown: [CouplingMatrix], _ settings: RunSettings
  ) -> [String] {
    var lines = what(settings, nil) + [""]
    lines.append("block  tokens  least σ₁   most σ₁  residual  coupling    null")
    var blocks: [Int] = []
    for l in prompt.layers where blocks.last != l.layer { blocks.append(l.layer) }
    for block in blocks {
      let layers = prompt.layers.filter { $0.layer == block }
      let leading = layers.compactMap(\.singularValues.first)
      let table = shown.first { $0.place.layer == block }
      let columns = [
        padded("\(block)", 5), padded("\(layers.count)", 8),
        padded(number7(leading.min() ?? 0), 10), padded(number7(leading.max() ?? 0), 10),
        padded(String(format: "%.1e", layers.map(worst).max() ?? 0), 10),
        padded(fixed(table?.mean(diagonal: settings.diagonal)), 10),
        padded(fixed(table.flatMap(nullMean)), 8),
        layers.allSatisfy(\.converged) ? "" : " *",
      ]
      lines.append(columns.joined())
    }
    return lines + mark(prompt.layers) + [""]
  }

  private static func mark(_ layers: [LayerRecord]) -> [String] {
    layers.allSatisfy(\.converged) ? [] : ["* not converged"]
  }

  // MARK: Figures

  /// The figures of the prompt.
  var figures: [String] {
    var lines: [String] = []
    for rank in settings.ranks {
      let tables = shown.filter { $0.setting.rank == rank }
      lines += mean(of: tables).map { [$0] } ?? []
      let bound = tables.meanBound(diagonal: settings.diagonal)
      lines += bound.map { [String(format: "  known to ± %.1e", $0)] } ?? []
    }
    let t = prompt.trajectory
    if let shape = t.lineShapeScore.last ?? nil, let growth = t.growth.last ?? nil {
      lines.append(
        String(
          format: "last token's path: line-shape score %.3f, growth %.4f per block", shape, growth))
      let more = [
        (t.expodistance.last ?? nil).map { String(format: "expodistance %.3f", $0) },
        t.linearisedPathCosine.map { String(format: "cosine of the linearised path %.3f", $0) },
      ].compactMap { $0 }
      if !more.isEmpty { lines.append("  " + more.joined(separator: ", ")) }
    }
    let fitted = prompt.inverseLeadingFit.map { fit in
      Set(prompt.layers.map(\.layer).filter { $0 >= fit.start }).count
    }
    if let fit = prompt.inverseLeadingFit, let r = fit.rSquared, let fitted,
      fitted >= Self.fewestFitted
    {
      lines.append(
        String(
          format: "1/σ₁ against depth from block %d: slope %.2e, R² %.3f", fit.start, fit.slope, r))
    }
    return lines + CertaintyLines(prompt.layers).lines + remedies
  }

  /// The fewest blocks for a fit: a line through fewer points shows no trend.
  private static let fewestFitted = 5

  /// The remedies of the solves that did not converge.
  var remedies: [String] {
    let hasOneEach = Set(prompt.layers.map { [$0.fromToken, $0.toToken] }).count == 1
    return prompt.layers.compactMap { l in
      guard let remedy = l.remedy else { return nil }
      let pair =
        l.fromToken == l.toToken ? "token \(l.toToken)" : "token \(l.fromToken) to \(l.toToken)"
      return
        "block \(l.layer)\(hasOneEach ? "" : ", \(pair)"): \(escaped(SettingMessage(recorded: remedy).inOptions))"
    }
  }

  /// The line with the mean coupling over all tables of a rank.
  private func mean(of tables: [CouplingMatrix]) -> String? {
    guard let setting = tables.first?.setting,
      let mean = tables.mean(diagonal: settings.diagonal)
    else { return nil }
    let null = MeanEstimate(tables.compactMap(Self.nullMean))?.mean
    return "mean coupling at rank \(setting.rank) (\(setting.score.rawValue), "
      + "diagonal \(settings.diagonal.rawValue)): " + String(format: "%.4f", mean)
      + (null.map { String(format: ", null %.4f", $0) } ?? "")
  }

  // MARK: One line of many

  /// The cells of the prompt's line: number, coupling, line shape, growth, tokens.
  var cells: [String] {
    let t = prompt.trajectory
    let rank = shown.map(\.setting.rank).max()
    let tables = shown.filter { $0.setting.rank == rank }
    let mean = MeanEstimate(tables.compactMap { $0.mean(diagonal: settings.diagonal) })?.mean
    return [
      padded("\(number)", 6), Self.fixed(mean), Self.fixed(t.lineShapeScore.last ?? nil),
      Self.fixed(t.growth.last ?? nil), "\(tokenCount)",
    ]
  }

  /// The prompt's text or ids, cut to what a line of `cells` leaves of 80 columns.
  var given: String {
    (prompt.text ?? prompt.image).map { quoted($0, limit: 30) }
      ?? escaped((prompt.tokenIds ?? []).map(String.init).joined(separator: ","), limit: 32)
  }

  private var tokenCount: Int {
    prompt.trajectory.norms.first?.count ?? prompt.tokenIds?.count ?? 0
  }

  private func title(_ isNumbered: Bool) -> String {
    let name = prompt.image == nil ? "prompt" : "image"
    var title = isNumbered ? "\(name) \(number): " : "\(name): "
    let given = prompt.text ?? prompt.image
    title +=
      given.map { "\(quoted($0, limit: 100)), \(counted(tokenCount, "token"))" }
      ?? counted(tokenCount, "token id")
    if let encoder = prompt.encoderTokenIds { title += ", after \(encoder.count) encoder tokens" }
    if let token = prompt.nextToken {
      title += ", next token \(quoted(token, limit: 100))"
    } else if let id = prompt.nextTokenId {
      title += ", next token id \(id)"
    }
    return title
  }

  // MARK: Parts

  /// Which Jacobians and which coupling a table shows.
  static func what(_ settings: RunSettings, _ pair: String?) -> [String] {
    let jacobians =
      switch settings.kind {
      case .depth: pair.map { "Jacobians of \($0)" } ?? "Jacobians across depth"
      case .tokens: "Jacobians of a block's tokens"
      case .contextInput: "Jacobians of a common input token"
      case .contextOutput: "Jacobians of a common output token"
      }
    return wrapped(
      "\(jacobians), site \(settings.site.rawValue), last block \(settings.last.rawValue)"
    ) + [
      "coupling at rank \(settings.ranks.max() ?? 0): \(settings.sign.rawValue), "
        + "\(escaped(settings.normalisation, limit: 20)), \(settings.form.shown.rawValue), "
        + settings.score.rawValue
    ]
  }

  private static func worst(_ l: LayerRecord) -> Double {
    let largest = l.singularValues.first ?? 0
    return (l.residualNorms.max() ?? 0) / (largest > 0 ? largest : 1)
  }

  private static func nullMean(_ table: CouplingMatrix) -> Double? {
    MeanEstimate((table.null ?? []).compactMap { $0 })?.mean
  }

  // MARK: Numbers and names

  private static func fixed(_ x: Double?) -> String { x.map { String(format: "%.4f", $0) } ?? "" }

  /// A non-negative value in at most 7 characters: with five digits or more, or with a power of ten.
  private static func number7(_ x: Double) -> String {
    guard x != 0, x < 0.01 || x >= 99999.5 else {
      return String(format: "%.\(x < 99.9995 ? 4 : x < 999.9995 ? 3 : x < 9999.995 ? 2 : 1)f", x)
    }
    return String(format: "%.1e", x)
  }

  private static func lowered(_ n: Int) -> String {
    String(
      String.UnicodeScalarView(
        "\(n)".unicodeScalars.map { Unicode.Scalar($0.value - 48 + 0x2080)! }))
  }
}
