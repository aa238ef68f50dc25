import Autodiff
import Checkpoint
import Foundation
import Lanczos
import LinearAlgebra
import Model

// Runs the family, the primitive, the solver and the metric of this package, and ends with status 1 if one of them gives a
// wrong result. The argument is the fixture `llama` of Krylens' tests.

nonisolated(unsafe) var failures = 0

func check(_ what: String, _ isRight: Bool) {
  print("\(isRight ? "ok    " : "FAILED") \(what)")
  if !isRight { failures += 1 }
}

/// A block of a model, at the states of some tokens after the blocks before it.
func point(
  in model: any Transformer, _ tokens: [Int], block: Int
) throws -> BlockPoint<Double> {
  var states = try HiddenStates<Double>([tokens], in: model)
  var point = try states.advance(through: model)
  while point.layer + 1 < block { point = try states.advance(through: model) }
  return point
}

/// Whether values differ by at most two tolerances times σ₁: |σ̂ − σ| ≤ residual norm (Weyl), on both sides.
func agree(_ a: [Double], _ b: [Double], tolerance: Double) -> Bool {
  zip(a, b).allSatisfy { abs($0 - $1) <= 2 * tolerance * b[0] }
}

// MARK: The solver and the metric, on a block of a family that Krylens has

struct Expected: Decodable {
  let token_ids: [Int]
  let sigma_last: [[Double]]
}
guard CommandLine.arguments.count == 2 else {
  print("usage: extensions FIXTURE, the folder Tests/ModelTests/Fixtures/llama")
  exit(64)
}
let fixture = CommandLine.arguments[1]
let expected = try JSONDecoder().decode(
  Expected.self, from: Data(contentsOf: URL(fileURLWithPath: "\(fixture)/expected.json")))
let tokens = expected.token_ids
let last = [(prompt: 0, tokens: TokenSelection(tokens.count - 1))]
let llama = try loadTransformer(CheckpointDirectory(opening: fixture))
let second = try point(in: llama, tokens, block: 2)
let found = try SubspaceIterationSolver(tolerance: 1e-6)
  .partialSVD(of: residualJacobian(llama, at: second, last), count: 3).requireConverged()
print("σ of block 2: \(found.singularValues)")
// The expectation is a full SVD in double precision, rounded to ten digits.
check(
  "solver: singular values", agree(found.singularValues, expected.sigma_last[1], tolerance: 1e-6))
let stopped = try SubspaceIterationSolver(iterations: 2)
  .partialSVD(of: residualJacobian(llama, at: second, last), count: 3)
check("solver: two iterations are too few", stopped.report.outcome != .converged)
let ratio = participationRatio(found.singularValues)
print("participation ratio: \(ratio ?? .nan)")
check("metric: between one direction and three", ratio.map { $0 > 1 && $0 < 3 } ?? false)
check("metric: alike", participationRatio([2, 2, 2, 2]) == 4)
check("metric: undefined", participationRatio([0, 0]) == nil)

// MARK: The primitive, after that block

let block = llama.block(1)
let program = { (x: Variable<Double>) in x + x * block.mlp(x).cumulativeSum() }
var random = SeededGenerator(seed: 4)
let (x, v, u) = (
  random.normalMatrix(rows: 2, columns: 24), random.normalMatrix(rows: 2, columns: 24),
  random.normalMatrix(rows: 2, columns: 24)
)
let jacobian = linearize(program, at: x)
func dot(_ a: Matrix<Double>, _ b: Matrix<Double>) -> Double {
  zip(a.elements, b.elements).reduce(0) { $0 + $1.0 * $1.1 }
}
let (tangent, cotangent) = (jacobian.jvp(v), jacobian.vjp(u))
// Sums of some thousand products, each with rounding 1e-16 relative to the sum.
let size = (dot(tangent, tangent) * dot(u, u)).squareRoot()
check("primitive: adjoint", abs(dot(u, tangent) - dot(cotangent, v)) <= 1e-12 * size)
let h = 1e-5
func moved(_ h: Double) -> Matrix<Double> {
  Matrix(rows: 2, columns: 24, elements: zip(x.elements, v.elements).map { $0 + h * $1 })
}
let (plus, minus) = (
  linearize(program, at: moved(h)).value, linearize(program, at: moved(-h)).value
)
let difference = zip(plus.elements, minus.elements).map { ($0 - $1) / (2 * h) }
// A central difference errs by h² times the third derivative, and by ε / h: both about 1e-10 of the values' size.
let largest = tangent.elements.map(abs).max() ?? 0
check(
  "primitive: derivative",
  zip(difference, tangent.elements).allSatisfy { abs($0 - $1) <= 1e-7 * max(largest, 1) })

// MARK: The family

func checkFamily() throws {
  let folder = FileManager.default.temporaryDirectory.appending(path: "\(UUID())").path
  try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(atPath: folder) }
  try writeSketch(to: folder, width: 8, inner: 20, vocabulary: 11)
  let sketch = try loadTransformer(
    CheckpointDirectory(opening: folder), families: [.sketch] + .builtIn)
  check("family: found by its model_type", sketch.description.family == "sketch")
  let first = try point(in: sketch, [3, 1, 4, 1, 5], block: 1)
  let ofSketch = residualJacobian(sketch, at: first, [(prompt: 0, tokens: TokenSelection(4))])
  let triplets = try SubspaceIterationSolver(tolerance: 1e-8).partialSVD(of: ofSketch, count: 3)
  let oracle = try DenseSolver().partialSVD(of: ofSketch, count: 3)
  print("σ of the sketch: \(triplets.singularValues)")
  check("family: Jacobian", agree(triplets.singularValues, oracle.singularValues, tolerance: 1e-8))
}
try checkFamily()

exit(failures == 0 ? 0 : 1)
