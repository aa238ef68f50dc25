import Weights
import Autodiff
import Checkpoint
import Foundation
import Lanczos
import LinearAlgebra
import TestSupport
import Testing

@testable import Model

private let here = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
private let root = here.deletingLastPathComponent().deletingLastPathComponent()

/// What the documents show is what this target compiles and the tests below run.
@Suite struct DocumentationTests {
  @Test(arguments: ["README.md", "CONTRIBUTING.md"])
  func everySwiftBlockIsCompiled(document: String) throws {
    let sources = try FileManager.default.contentsOfDirectory(atPath: here.path)
      .filter { $0.hasSuffix("Example.swift") }
      .map { try String(contentsOf: here.appending(path: $0), encoding: .utf8) }
    let text = try String(contentsOf: root.appending(path: document), encoding: .utf8)
    let blocks = text.components(separatedBy: "```swift\n").dropFirst()
      .map { $0.components(separatedBy: "```")[0] }
    #expect(!blocks.isEmpty)
    for block in blocks {
      #expect(sources.contains { $0.contains(block) }, "\(document) shows other code: \(block)")
    }
  }

  /// A link to a file of the repository leads to one.
  @Test(arguments: [
    "README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/tutorial.md",
    "docs/reading-the-numbers.md", "docs/python.md",
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

  @Test func familyExampleHasABlockWithAJacobian() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "\(UUID())").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let (width, hidden) = (8, 20)
    var random = SeededGenerator(seed: 3)
    let shapes = [
      "embed": [11, width], "layers.0.q": [width, width], "layers.0.k": [width, width],
      "layers.0.v": [width, width], "layers.0.o": [width, width], "layers.0.up": [hidden, width],
      "layers.0.down": [width, hidden],
    ].sorted { $0.key < $1.key }
    let writer = try SafetensorsWriter(
      "\(folder)/model.safetensors",
      entries: shapes.map { .init(name: "\($0.key).weight", shape: $0.value) })
    for (_, shape) in shapes {
      try writer.append((0..<shape[0] * shape[1]).map { _ in Float(random.normal()) })
    }
    try writer.finish()
    let config = """
      {"model_type": "sketch", "num_hidden_layers": 1, "hidden_size": \(width),
       "intermediate_size": \(hidden), "vocab_size": 11}
      """
    try Data(config.utf8).write(to: URL(fileURLWithPath: "\(folder)/config.json"))

    let model = try Sketch(ModelFile(CheckpointDirectory(opening: folder)))
    var states = try HiddenStates<Double>([[3, 1, 4, 1, 5]], in: model)
    let point = try states.advance(through: model)
    let jacobian = residualJacobian(model, at: point, [(prompt: 0, tokens: TokenSelection(4))])
    #expect(jacobian.inputDimension == width && jacobian.outputDimension == width)
    let found = try ARPACKSolver(tolerance: 1e-8).partialSVD(of: jacobian, count: 3)
    let oracle = try DenseSolver().partialSVD(of: jacobian, count: 3)
    for (a, b) in zip(found.singularValues, oracle.singularValues) {
      #expect(abs(a - b) <= 2e-8 * oracle.singularValues[0])
    }
  }

  @Test func primitiveExampleIsItsAdjointsAdjoint() {
    var random = SeededGenerator(seed: 4)
    let (x, v, u) = (
      random.normalMatrix(rows: 3, columns: 7), random.normalMatrix(rows: 3, columns: 7),
      random.normalMatrix(rows: 3, columns: 7)
    )
    let dot = { (a: Matrix<Double>, b: Matrix<Double>) in
      zip(a.elements, b.elements).reduce(0) { $0 + $1.0 * $1.1 }
    }
    // x + x ∘ sum(x): the cotangent of x arrives from two sides.
    let jacobian = linearize({ $0 + $0 * $0.cumulativeSum() }, at: x)
    // Sums of at most 21 terms of size about 10: rounding is some 10⁻¹⁴.
    #expect(abs(dot(u, jacobian.jvp(v)) - dot(jacobian.vjp(u), v)) < 1e-12)
    let h = 1e-5
    let plus = linearize({ $0 + $0 * $0.cumulativeSum() }, at: moved(x, v, h)).value
    let minus = linearize({ $0 + $0 * $0.cumulativeSum() }, at: moved(x, v, -h)).value
    // Quadratic in x, so a central difference is exact but for rounding, ε · 10 / h.
    for (i, tangent) in jacobian.jvp(v).elements.enumerated() {
      #expect(abs((plus.elements[i] - minus.elements[i]) / (2 * h) - tangent) < 1e-8)
    }
  }

  private func moved(_ x: Matrix<Double>, _ v: Matrix<Double>, _ h: Double) -> Matrix<Double> {
    Matrix(
      rows: x.rows, columns: x.columns,
      elements: zip(x.elements, v.elements).map { $0 + h * $1 })
  }

  @Test(arguments: [(60, 40), (40, 60)])
  func solverExampleFindsAChosenSpectrum(rows: Int, columns: Int) throws {
    let values = (0..<40).map { 3 / Double($0 + 1) }
    let a = StrictOperator(operatorWithSpectrum(values, rows: rows, columns: columns, seed: 5))
    let found = try SubspaceIterationSolver(tolerance: 1e-6).partialSVD(of: a, count: 4)
      .requireConverged()
    #expect(a.violations.isEmpty)
    // |σ̂ − σ| ≤ residual norm ≤ 10⁻⁶ σ₁ (Weyl).
    for (i, value) in found.singularValues.enumerated() {
      #expect(abs(value - values[i]) <= 1e-6 * values[0])
    }
    guard
      case .stopped = try SubspaceIterationSolver(iterations: 2)
        .partialSVD(of: a, count: 4).report.outcome
    else {
      Issue.record("two steps were enough")
      return
    }
  }

  @Test func factorisationExampleStopsByItsOwnRule() throws {
    let values = (0..<40).map { 3 / Double($0 + 1) }
    let a = operatorWithSpectrum(values, rows: 40, columns: 60, seed: 5)
    let found = try settledValues(of: a, count: 4, change: 1e-6)
    // Blocks of four converge by a factor of at least two a step here, so what is left is less than a few last changes.
    for (value, wanted) in zip(found, values) { #expect(abs(value - wanted) < 1e-5 * wanted) }
    #expect(found.count == 4)
  }

  @Test func metricExampleCountsDirections() throws {
    #expect(participationRatio([5]) == 1)
    #expect(participationRatio([2, 2, 2, 2]) == 4)
    #expect(participationRatio([0, 0]) == nil)
    // Independent of scale, up to rounding of the divisions.
    let (a, b) = (participationRatio([3, 2, 1]), participationRatio([3e200, 2e200, 1e200]))
    #expect(abs(try #require(a) - #require(b)) < 1e-14)
  }
}
