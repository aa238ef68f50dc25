import Autodiff
import Checkpoint
import Foundation
import Lanczos
import LinearAlgebra
import Model
import TestSupport
import Testing
import Tokenization
import Weights

private let here = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
private let root = here.deletingLastPathComponent().deletingLastPathComponent()

/// The code in the documents is compiled and run by this target or by the package `examples/extensions`.
@Suite struct DocumentationTests {
  @Test(arguments: ["README.md", "CONTRIBUTING.md"])
  func everySwiftBlockIsCompiled(document: String) throws {
    let folders = [here, root.appending(path: "examples/extensions/Sources")]
    let sources = try folders.flatMap { folder in
      try FileManager.default.contentsOfDirectory(atPath: folder.path)
        .filter { $0.hasSuffix(".swift") }
        .map { try String(contentsOf: folder.appending(path: $0), encoding: .utf8) }
    }
    let text = try String(contentsOf: root.appending(path: document), encoding: .utf8)
    let blocks = text.components(separatedBy: "```swift\n").dropFirst()
      .map { $0.components(separatedBy: "```")[0] }
    #expect(!blocks.isEmpty)
    for block in blocks {
      #expect(sources.contains { $0.contains(block) }, "\(document) shows other code: \(block)")
    }
  }

  /// Every link to a file in the repository is valid.
  @Test(arguments: [
    "README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/tutorial.md",
    "docs/reading-the-numbers.md", "docs/python.md", "docs/eigenvalues.md", "docs/stability.md",
  ])
  func everyLinkLeadsSomewhere(document: String) throws {
    let file = root.appending(path: document)
    let text = try String(contentsOf: file, encoding: .utf8)
    for part in text.components(separatedBy: "](").dropFirst() {
      let target = part.prefix { $0 != ")" && $0 != "#" && $0 != " " }
      guard !target.isEmpty, !target.contains("://") else { continue }
      let path = file.deletingLastPathComponent().appending(path: String(target)).path
      #expect(FileManager.default.fileExists(atPath: path), "\(document): \(target)")
    }
  }

  @Test func readmeExampleFindsWhatLAPACKFinds() throws {
    let found = try strongestDirections()
    var random = SeededGenerator(seed: 1)
    let up = StoredMatrix(random.normalMatrix(rows: 400, columns: 100))
    let down = StoredMatrix(random.normalMatrix(rows: 100, columns: 400))
    let x = random.normalMatrix(rows: 1, columns: 100)
    let jacobian = linearize({ $0.linear(up).activated(by: .tanh).linear(down) }, at: x)
    let oracle = try DenseSolver().partialSVD(of: jacobian, count: 5)
    // |σ̂ − σ| ≤ residual norm ≤ 10⁻⁵ σ₁ (Weyl), on both sides.
    for (a, b) in zip(found.singularValues, oracle.singularValues) {
      #expect(abs(a - b) <= 2e-5 * oracle.singularValues[0])
    }
  }

  @Test func blockExampleFindsWhatLAPACKFinds() throws {
    let scratch = try ScratchFolder()
    var shape = try #require(SyntheticCheckpoint.shapes["smollm2-135m"])
    (shape.layers, shape.vocabulary) = (3, 1024)
    let folder = scratch["model"]
    try SyntheticCheckpoint(shape: shape, elementType: .f32).write(to: folder)
    try scratch.copy(
      ModelFixture.path("TokenizationTests/Fixtures/smollm2.json"), as: "model/tokenizer.json")
    let text = "What is the capital of France?"
    let found = try topTriplets(of: folder, block: 2, text: text, count: 5)

    let directory = try CheckpointDirectory(opening: folder)
    let model = try loadTransformer(directory)
    let tokens = try Tokenizer(for: directory).encode(text)
    var states = try HiddenStates<Float>([tokens], in: model)
    _ = try states.advance(through: model)
    let second = try states.advance(through: model)
    let jacobian = residualJacobian(model, at: second, [(0, TokenSelection(tokens.count - 1))])
    let oracle = try DenseSolver().partialSVD(of: jacobian, count: 5)
    // |σ̂ − σ| ≤ residual norm ≤ 10⁻⁵ σ₁ (Weyl), on both sides.
    for (a, b) in zip(found.singularValues, oracle.singularValues) {
      #expect(abs(a - b) <= 2e-5 * oracle.singularValues[0])
    }
  }

  @Test func factorisationExampleStopsByItsOwnRule() throws {
    let values = (0..<40).map { 3 / Double($0 + 1) }
    let a = operatorWithSpectrum(values, rows: 40, columns: 60, seed: 5)
    let found = try settledValues(of: a, count: 4, change: 1e-6)
    // Here blocks of four converge by a factor of at least two per step, so the error is less than a few times the last change.
    for (value, wanted) in zip(found, values) { #expect(abs(value - wanted) < 1e-5 * wanted) }
    #expect(found.count == 4)
  }
}
