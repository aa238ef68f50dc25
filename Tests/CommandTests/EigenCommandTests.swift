import Files
import Foundation
import TestSupport
import Testing

@testable import Analysis

/// `krylens eigen`, as a user runs it.
@Suite struct EigenCommandTests {
  private static let llama = ModelFixture("llama").folder
  private static let tokens = ["--token-ids", "5,3,9,7"]

  private func eigen(
    _ options: [String], model: String = llama
  ) throws -> (finished: Finished, record: EigenRecord) {
    let scratch = try ScratchFolder()
    let finished = try Command.run(
      ["eigen", model, "-o", "run"] + Self.tokens + options, in: scratch)
    try #require(finished.status == 0, "\(finished.error)")
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    let data = try Data(contentsOf: URL(filePath: scratch["run/result.json"]))
    #expect(scratch.contents == ["run"])
    let files = try FileManager.default.contentsOfDirectory(atPath: scratch["run"]).sorted()
    #expect(files == ["eigenvalues.csv", "result.json"])
    return (finished, try decoder.decode(EigenRecord.self, from: data))
  }

  @Test func everyBlockHasItsSpectrum() throws {
    let (finished, record) = try eigen(["--top", "5", "--exponents", "--quiet"])
    #expect(finished.output.isEmpty && finished.complaints.isEmpty)
    let prompt = try #require(record.prompts.first)
    #expect(prompt.found.layers.map(\.layer) == (1...record.head.model.layers).map { $0 })
    for spectrum in prompt.found.layers {
      #expect(spectrum.eigenvalues.count == 5 && spectrum.converged)
      let moduli = spectrum.eigenvalues.map { ($0[0] * $0[0] + $0[1] * $0[1]).squareRoot() }
      #expect(zip(moduli, moduli.dropFirst()).allSatisfy { $0 >= $1 - 1e-12 })
      #expect(spectrum.residualNorms.allSatisfy { $0 <= 1e-5 * moduli[0] })
      #expect((0...2.0.squareRoot()).contains(spectrum.departureFromNormality))
    }
    #expect(prompt.found.lyapunovExponents?.count == 5)
    #expect(record.head.settings.numeric.exponents && record.head.complete)
  }

  /// All solvers agree up to rounding.
  @Test func solversAgree() throws {
    let found = try ["arpack", "dense"].map {
      try eigen(["--top", "4", "--layers", "2", "--solver", $0]).record.prompts[0].found.layers[0]
    }
    #expect(found.map(\.solver) == ["arpack", "dense"])
    for (a, b) in zip(found[0].eigenvalues, found[1].eigenvalues) {
      // Residual norms of 10⁻⁵, times the condition of the eigenvalues.
      #expect(abs(a[0] - b[0]) < 1e-3 && abs(abs(a[1]) - abs(b[1])) < 1e-3)
    }
  }

  @Test func theTableNamesWhatWasFound() throws {
    let output = try eigen(["--layers", "1,2", "--top", "3", "--exponents"]).finished.output
    for part in [
      "eigenvalues of I + J at token 3", "departure", "exponents per block", "written to run",
    ] {
      #expect(output.contains(part), "\(part): \(output)")
    }
    #expect(output.split(separator: "\n").allSatisfy { $0.count <= 100 })
  }

  @Test(arguments: [
    (["--top", "0"], 64, "--top 0"), (["--top", "100000"], 64, "--top 100000"),
    (["--layers", "99"], 64, "--layers 99"), (["--tolerance", "2"], 64, "--tolerance 2"),
    (["--from-token", "7"], 64, "--from-token 7"),
    (["--from-token", "0", "--to-token", "1"], 64, "--from-token and --to-token"),
    (["--from-token", "0,1"], 64, "--from-token"),
    (["--layers", "1", "--to-layer", "2"], 64, "exclude each other"),
    (["--max-memory", "1KB"], 64, "--max-memory"),
  ])
  func badInputIsOneClearError(options: [String], status: Int32, part: String) throws {
    let scratch = try ScratchFolder()
    let finished = try Command.run(
      ["eigen", Self.llama, "-o", "run"] + Self.tokens + options, in: scratch)
    #expect(finished.status == status)
    let errors = finished.complaints.filter { $0.hasPrefix("Error:") }
    #expect(errors.count == 1 && errors[0].contains(part), "\(finished.error)")
    #expect(scratch.contents.isEmpty)
  }

  @Test func theSameRunIsThereAlreadyAndIsShown() throws {
    let scratch = try ScratchFolder()
    let command = ["eigen", Self.llama, "-o", "run", "--layers", "1", "--top", "2"] + Self.tokens
    let first = try Command.run(command, in: scratch)
    let second = try Command.run(command, in: scratch)
    #expect(first.status == 0 && second.status == 0)
    #expect(second.error.contains("nothing was done") && second.output == first.output)
    #expect(try Command.run(["show", "run"], in: scratch).output == first.output)
  }

  @Test func aFolderThatIsNotEmptyIsLeftAlone() throws {
    let scratch = try ScratchFolder()
    try scratch.makeFolder("run")
    try scratch.write([1], to: "run/mine")
    let finished = try Command.run(["eigen", Self.llama, "-o", "run"] + Self.tokens, in: scratch)
    #expect(finished.status == 1 && finished.error.contains("is not empty"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch["run"]) == ["mine"])
  }
}
