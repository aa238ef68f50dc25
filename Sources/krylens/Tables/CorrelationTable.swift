import Studies
import Files
import Alignment
import Analysis
import Foundation

/// What `correlate` prints: one line per run, which runs are left out and why, warnings, the statistics.
struct CorrelationTable {
  let text: String

  init(_ study: CorrelationStudy, file: String) {
    let (file, score) = (escaped(file, limit: 100), escaped(study.score, limit: 100))
    var lines = wrapped("\(study.quantity) against \(score) of \(file)") + [""]
    lines += Self.table(study.models)
    lines.append("")
    let absent: [(StudiedModel.Standing, String)] = [
      (.unlisted, "not listed in \(file)"), (.noScore, "listed without \(score)"),
      (.noValue, "without a value"),
    ]
    for (standing, reason) in absent {
      for m in study.models where m.standing == standing {
        lines += wrapped(
          "left out, \(reason): \(escaped(m.model, limit: 100)) (\(escaped(m.run, limit: 100)))")
      }
    }
    lines += study.warnings.flatMap { wrapped("warning: \(escaped($0))") }
    if let statistics = study.statistics {
      if let last = lines.last, !last.isEmpty { lines.append("") }
      lines += Self.statistics(statistics, score)
    }
    text = lines.joined(separator: "\n")
  }

  /// One line per run, or two if names are too long for one.
  private static func table(_ models: [StudiedModel]) -> [String] {
    let names = ["model"] + models.map { escaped($0.model, limit: 100) }
    let rows =
      [["parameters", "depth", "width", "prompts", "value", "null", "score"]] + models.map(row)
    let lines = aligned(zip(names, rows).map { [$0] + $1 })
    guard lines.contains(where: { $0.count > 80 }) else { return lines }
    return zip(names, aligned(rows.map { [""] + $0 })).flatMap { [$0, $1] }
  }

  private static func row(_ m: StudiedModel) -> [String] {
    let error = m.value.standardError.map { String(format: " ± %.4f", $0) } ?? ""
    return [
      millions(m.parameters), "\(m.depth)", "\(m.width)", "\(m.value.count)",
      (m.value.mean.map { String(format: "%.4f", $0) } ?? "missing") + error,
      m.null.map { String(format: "%.4f", $0) } ?? "", m.score.map { "\($0)" } ?? "missing",
    ]
  }

  private static func statistics(_ s: ScoreCorrelation, _ score: String) -> [String] {
    let missing = "not defined"
    let rivals = s.rivals.map {
      "\($0.name) \($0.correlation.map { short($0.rSquared) } ?? missing)"
    }
    var rows: [(String, String?)] = [
      (
        "Pearson r",
        s.pearson.map {
          String(format: "%.4f, R² %.4f, ", $0.r, $0.rSquared) + probability($0.pValue)
        }
      ),
      ("  over models", s.intervalOverModels.map(interval)),
      ("  over prompts", s.intervalOverPrompts.map(interval)),
      ("line", s.pearson.map { "\(score) = \(short($0.intercept)) + \(short($0.slope)) · value" }),
      (
        "Spearman ρ",
        s.spearman.map { String(format: "%.4f, ", $0.rho) + probability($0.pValue) }
      ),
      (
        "r given ln(width)",
        s.partial.map { String(format: "%.4f, ", $0.r) + probability($0.pValue) }
      ),
      ("R² of rivals", rivals.joined(separator: ", ")),
    ]
    if let above = s.above {
      rows.append(
        (
          "\(above.count) above \(short(above.threshold))",
          above.correlation.map {
            String(format: "R² %.4f, ", $0.rSquared) + probability($0.pValue)
          }
        ))
    }
    let width = rows.map(\.0.count).max() ?? 0
    return ["\(s.count) models"]
      + rows.flatMap { name, value in
        wrapped(
          name.padding(toLength: width + 2, withPad: " ", startingAt: 0) + (value ?? missing),
          indent: width + 2)
      }
  }

  private static func interval(_ i: BootstrapInterval) -> String {
    String(format: "%g %% interval of r [%.4f, %.4f]", 100 * i.level, i.lower, i.upper)
  }
}
