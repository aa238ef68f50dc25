import Analysis
import Files
import Foundation

/// What `verify` prints: each kind of check with its worst case, what failed, what was left out, and the verdict.
struct VerificationTable {
  let text: String

  /// The most failures that are named one by one.
  private static let mostNamed = 10

  init(_ r: VerificationReport) {
    var lines = aligned(
      [["check", "numbers", "failed", "worst", "limit", "ratio"]]
        + r.kinds.map { kind in
          [
            Self.name(kind.kind), "\(kind.checks)", kind.failed == 0 ? "" : "\(kind.failed)",
            Self.number(kind.worst.difference), Self.number(kind.worst.limit),
            kind.worstRatio.map { String(format: "%.2g", $0) } ?? "",
          ]
        })
    lines.append("")
    lines += r.failures.prefix(Self.mostNamed).flatMap { wrapped(Self.sentence($0)) }
    let failed = r.kinds.reduce(0) { $0 + $1.failed }
    if failed > Self.mostNamed { lines.append("and \(failed - Self.mostNamed) more") }
    lines += r.leftOut.flatMap { wrapped("not checked: \(escaped($0, limit: 300))") }
    let seconds = String(format: "%.1f s", r.seconds)
    lines.append(
      r.passed
        ? "PASS: \(counted(r.checks, "number")) recomputed in double precision, \(seconds)"
        : "FAIL: \(failed) of \(counted(r.checks, "number")) recomputed in double precision, \(seconds)"
    )
    text = lines.joined(separator: "\n")
  }

  private static func number(_ x: Double?) -> String {
    x.map { String(format: "%.1e", $0) } ?? "no number"
  }

  private static func name(_ kind: CheckKind) -> String {
    switch kind {
    case .storedValues: "σ in triplets.safetensors"
    case .residualNorms: "residual norms"
    case .orthonormality: "UᵀU and VᵀV"
    case .adjoint: "Jᵀ against J"
    case .finiteDifference: "J against differences"
    case .singularValues: "σ against dense J"
    case .coupling: "coupling"
    case .hiddenNorms: "norms of hidden states"
    }
  }

  /// A failed check in words: `residual norms: prompt 1, block 3, token 9, triplet 4: 1.2e-06 recorded, 3.4e-03 found; …`.
  private static func sentence(_ f: VerificationFinding) -> String {
    var place = "\(name(f.kind)): prompt \(f.prompt)"
    if let layer = f.layer {
      place += f.kind == .hiddenNorms ? ", after \(counted(layer, "block"))" : ", block \(layer)"
    }
    if let from = f.fromToken, let to = f.toToken {
      place += from == to ? ", token \(to)" : ", token \(from) to \(to)"
    }
    if let rank = f.rank {
      place += f.reading == nil ? ", triplet \(rank)" : ", rank \(rank)"
    }
    if let reading = f.reading { place += " (\(reading))" }
    let numbers = [(f.recorded, "recorded"), (f.found, "found")].compactMap { value, word in
      value.map { String(format: "%.9g ", $0) + word }
    }
    return
      "\(place): \(numbers.joined(separator: ", ")); off by \(number(f.difference)), limit \(number(f.limit))"
  }
}
