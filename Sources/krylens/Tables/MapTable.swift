import Analysis
import Files
import Foundation

/// What `triplets` prints, from the record alone: each map's singular values with their residuals, and the tokens its
/// vectors favour.
struct MapTable {
  let text: String

  /// The most maps whose tables are printed; with more, each has one line.
  private static let mostTables = 4
  /// The most triplets per map whose read-outs are printed; the record has all.
  private static let mostRead = 10
  /// The most tokens per list that are printed.
  private static let mostTokens = 5

  init(_ record: MapRunRecord, folder: String) {
    let head = record.head
    let maps = record.maps
    var lines = modelLines(head.model)
    if !head.complete {
      // Nothing is known about an average until all prompts are done.
      let done = record.average != nil ? record.prompts.count : maps.count + record.failures.count
      lines += unfinishedLines(done, of: record.prompts.count, folder: folder)
    }
    if maps.count > Self.mostTables {
      lines += [""] + Self.brief(maps)
    } else {
      for (p, map) in maps {
        lines += [""]
        if let p { lines.append(Self.title(record.prompts[p].entry, p, of: record.prompts.count)) }
        if p == nil {
          let used = record.prompts.count - record.failures.count
          lines.append("average over \(counted(used, "prompt"))")
        }
        let tokens = p.flatMap { record.prompts[$0].entry.tokens }
        lines += Self.lines(map, tokens: tokens)
      }
    }
    for failure in record.failures { lines += ["", escaped("\(failure)")] }
    lines.append("")
    if head.seconds.total > 0 {
      lines += [
        String(
          format: "%.2f s (load %.2f, solve %.2f)", head.seconds.total, head.seconds.load,
          head.seconds.solve),
        memoryLine(head.peakMemoryBytes, head.peakPrivateBytes),
      ]
    }
    lines.append(head.complete ? "written to \(folder)" : "read from \(folder)")
    text = lines.joined(separator: "\n")
  }

  private static func title(_ entry: PromptEntry, _ p: Int, of count: Int) -> String {
    let tokens = counted(entry.tokenIds?.count ?? 0, "token")
    let given =
      (entry.text ?? entry.image).map {
        quoted($0, limit: 100) + (entry.text == nil ? "" : ", \(tokens)")
      } ?? "\(tokens) as ids"
    return (count > 1 ? "prompt \(p + 1): " : "prompt: ") + given
  }

  // MARK: One map

  private static func lines(_ map: MapRecord, tokens: [String?]?) -> [String] {
    let largest = map.singularValues.first ?? 0
    let header = [padded("k", 4), "σ", "σ / σ₁", "gap / σ₁", "residual / σ₁"]
    let rows = map.singularValues.enumerated().map { k, value in
      [
        padded("\(k + 1)", 4), short(value), ratio(value, largest),
        map.relativeGaps.flatMap { k < $0.count ? String(format: "%.1e", $0[k]) : nil } ?? "",
        String(format: "%.1e", map.residualNorms[k] / (largest > 0 ? largest : 1)),
      ]
    }
    var lines = wrapped(description(map, tokens)) + [""] + aligned([header] + rows)
    lines.append(
      "\(escaped(map.solver, limit: 20)): \(map.applications.jvp + map.applications.vjp) products in "
        + "\(map.passes) passes, " + String(format: "%.2f s", map.seconds)
        + (map.converged ? "" : "; not converged"))
    if let remedy = map.remedy {
      lines += wrapped(escaped(SettingMessage(recorded: remedy).inOptions))
    }
    if let readOut = map.readOut { lines += ["", readOutTitle] + Self.lines(readOut, tokens) }
    return lines
  }

  /// A map in words: `the map from token 9 at boundary 0 to token 9 at boundary 30: 576 × 576; full linearization, …`.
  static func description(_ map: MapRecord, _ tokens: [String?]? = nil) -> String {
    let part =
      map.head.map { "head \($0) of attention" } ?? map.expert.map { "expert \($0)" }
      ?? (map.site == .block ? "" : map.site.rawValue)
    let end =
      switch map.toLayer {
      case .layer(let layer): "at boundary \(layer)"
      case .final: "after the final norm"
      case .logits:
        map.logits.map { ids in
          "of the logit of \(ids.map(String.init).joined(separator: " minus that of "))"
        } ?? "of the logits"
      }
    let outputs = map.reduce == .none ? "" : "the \(map.reduce.rawValue) over "
    return
      "the map from \(map.tied ? "an input added at " : "")\(named(map.fromTokens, tokens)) at "
      + "boundary \(map.fromLayer) to \(outputs)\(named(map.toTokens, tokens)) \(end)"
      + (part.isEmpty ? "" : ", through \(part)")
      + ": \(map.shape.map(String.init).joined(separator: " × "))"
      + "; \(map.linearization.rawValue) linearization"
      + (map.path == .own ? ", along each token's own path" : "")
      + (map.identitySubtracted ? ", identity subtracted" : "")
  }

  /// Tokens in words: `token 9`, `tokens 2, 5, 7`, `tokens 0 to 127`.
  private static func named(_ tokens: [Int]?, _ texts: [String?]?) -> String {
    guard let tokens, let first = tokens.first, let last = tokens.last else {
      return "tokens that differ between prompts"
    }
    if tokens.count == 1 { return tokenName(first, of: texts) }
    if tokens.count > 2, last - first == tokens.count - 1 { return "tokens \(first) to \(last)" }
    let shown = tokens.prefix(8).map(String.init).joined(separator: ", ")
    return "tokens \(shown)" + (tokens.count > 8 ? ", …" : "")
  }

  private static func ratio(_ value: Double, _ largest: Double) -> String {
    largest > 0 ? String(format: "%.4f", value / largest) : ""
  }

  // MARK: Read-out

  /// The title above `lines(_:_:)`.
  static let readOutTitle = "what each vector favours | disfavours (u: the output, v: the input):"

  /// One line per vector, for the token that holds the largest part of it.
  static func lines(_ readOut: ReadOut, _ tokens: [String?]?) -> [String] {
    var lines: [String] = []
    for k in 0..<min(mostRead, max(readOut.left.count, readOut.right.count)) {
      for (name, vectors) in [("u", readOut.left), ("v", readOut.right)] where k < vectors.count {
        guard let part = vectors[k].first else { continue }
        let place = part.token.map { t in
          "at \(tokenName(t, of: tokens))" + String(format: " (norm %.2f)", part.norm)
        }
        let several = vectors[k].count > 1 ? place.map { ", \($0)" } ?? "" : ""
        lines += wrapped(
          "\(name)\(k + 1)\(several): \(words(part.favoured)) | \(words(part.disfavoured))",
          indent: 5)
      }
    }
    return lines
  }

  private static func words(_ entries: [ReadOut.Entry]) -> String {
    entries.prefix(mostTokens).map {
      $0.token.map { quoted($0, limit: 24) } ?? "\($0.id)"
    }.joined(separator: " ")
  }

  // MARK: Many maps

  private static func brief(_ maps: [(prompt: Int?, map: MapRecord)]) -> [String] {
    let header = [padded("prompt", 6), "σ₁", "σ₂", "σₖ", "k", "residual / σ₁", "passes"]
    let rows = maps.map { p, map in
      let values = map.singularValues
      let largest = values.first ?? 0
      return [
        padded(p.map { "\($0 + 1)" } ?? "", 6), values.first.map(short) ?? "",
        values.count > 1 ? short(values[1]) : "", values.last.map(short) ?? "",
        "\(values.count)",
        String(
          format: "%.1e", (map.residualNorms.max() ?? 0) / (largest > 0 ? largest : 1)),
        "\(map.passes)" + (map.converged ? "" : " *"),
      ]
    }
    let mark = maps.allSatisfy(\.map.converged) ? [] : ["* not converged"]
    return wrapped(description(maps[0].map)) + [""] + aligned([header] + rows) + mark
  }
}
