import Alignment
import Analysis
import Foundation
import TestSupport
import Testing

/// The coupling in the table is that of the record, in the reading the options choose.
struct ShownCouplingOptionTests {
  struct Reading: Sendable, CustomTestStringConvertible {
    var sign = CouplingSign.signed
    var normalisation = "frobenius"
    var form = CouplingForm.same
    var score = CouplingScore.oneMinus
    var diagonal = DiagonalMode.excluded
    var options: [String] {
      [
        "--sign", sign.rawValue, "--normalisation", normalisation, "--form", form.rawValue,
        "--score", score.rawValue, "--diagonal", diagonal.rawValue,
      ]
    }
    var testDescription: String { options.joined(separator: " ") }
  }

  @Test(arguments: [
    Reading(), Reading(sign: .absolute), Reading(normalisation: "trace"),
    Reading(normalisation: "p=1.5"), Reading(normalisation: "3"), Reading(form: .crossed),
    Reading(score: .misfit), Reading(score: .oneMinusSquare), Reading(diagonal: .included),
    Reading(
      sign: .absolute, normalisation: "p=1.5", form: .crossed, score: .oneMinusSquare,
      diagonal: .included),
  ])
  func shownCoupling(reading: Reading) throws {
    let run = try Command.align(
      OptionTests.llama.folder,
      OptionTests.tokens + ["--top", "6", "--ranks", "3,6"] + reading.options)
    let prompt = run.record.prompts[0]
    let p =
      switch reading.normalisation {
      case "frobenius": 2.0
      case "trace": 1.0
      case "3": 3.0
      default: 1.5
      }
    for rank in [3, 6] {
      // From the record, which always holds p = 2: m^(p) = m^(2) ‖S_K‖₂ / ‖S_K‖_p.
      let table = try #require(
        prompt.coupling.first {
          $0.setting
            == CouplingSetting(rank: rank, sign: reading.sign, form: reading.form)
        })
      func score(_ value: Double, of i: Int) -> Double {
        let s = prompt.layers[i].singularValues.prefix(rank)
        func norm(_ p: Double) -> Double {
          pow(s.reduce(0) { $0 + pow($1, p) }, 1 / p)
        }
        return reading.score((1 - value) * norm(2) / norm(p))
      }
      var values: [Double] = []
      for i in 0..<3 {
        for j in 0..<3
        where i != j || reading.form == .crossed || reading.diagonal == .included {
          values.append(score(try #require(table.matrix[i][j]), of: i))
        }
      }
      let mean =
        values.reduce(0, +) / 6
        * (Double(6) / Double(values.count))
      let nulls = try (0..<3).map { score(try #require(table.null?[$0]), of: $0) }
      let line = try #require(
        run.finished.output.split(separator: "\n").first {
          $0.hasPrefix("mean coupling at rank \(rank) ")
        })
      #expect(line.contains("(\(reading.score.rawValue), diagonal \(reading.diagonal.rawValue))"))
      #expect(
        line.hasSuffix(
          String(format: ": %.4f, null %.4f", mean, nulls.reduce(0, +) / 3)), "\(line)")
      if rank == 6 {
        let next = String(format: "%.4f", score(try #require(table.matrix[0][1]), of: 0))
        let row = try #require(
          run.finished.output.split(separator: "\n").first { $0.hasPrefix("    1 ") })
        #expect(row.split(separator: " ").map(String.init).contains(next), "\(row)")
      }
    }
  }

  @Test func columnsNameTheValuesThereAre() throws {
    for (top, header) in [
      (1, "block      σ₁ residual"), (2, "σ₁      σ₂ residual"),
      (3, "σ₂      σ₃ residual"), (5, "σ₃      σ₅ residual"),
    ] {
      let run = try Command.align(
        OptionTests.llama.folder, OptionTests.tokens + ["--top", "\(top)"])
      #expect(run.finished.output.contains(header), "\(run.finished.output)")
    }
  }
}
