import Weights
import Foundation
import Lanczos
import LinearAlgebra
import Synchronization
import TestSupport
import Testing

@testable import Autodiff

/// The answers depend neither on the number of threads nor on other work in the process.
struct ThreadCountTests {
  /// A gated unit that is large enough for its products, elementwise maps and LAPACK's factorisations to be
  /// parallelised.
  private static func solve(_ kind: SolverKind, threads: Int) throws -> SingularTriplets {
    var generator = SeededGenerator(seed: 1)
    let (width, hidden) = (280, 500)
    let matrix = { (rows: Int, columns: Int) in
      StoredMatrix(
        generator.normalMatrix(rows: rows, columns: columns).converted(to: Float.self))
    }
    let (gate, up, down) = (matrix(hidden, width), matrix(hidden, width), matrix(width, hidden))
    let x = generator.normalMatrix(rows: 1, columns: width).converted(to: Float.self)
    return try Engine(threads: threads).use {
      let jacobian = linearize(
        { x in (x.linear(gate).activated(by: .silu) * x.linear(up)).linear(down) }, at: x)
      return try kind.solver(seed: 3).partialSVD(of: jacobian, count: 12)
    }
  }

  @Test(arguments: SolverKind.allCases)
  func solvesAreTheSameToTheBit(kind: SolverKind) throws {
    let alone = try Self.solve(kind, threads: 1)
    let found = Mutex<[SingularTriplets?]>(Array(repeating: nil, count: 6))
    // Several at the same time, with two, three and four threads: no global setting is changed.
    DispatchQueue.concurrentPerform(iterations: 6) { i in
      let triplets = try? Self.solve(kind, threads: 2 + i % 3)
      found.withLock { $0[i] = triplets }
    }
    for triplets in found.withLock({ $0 }) {
      let triplets = try #require(triplets)
      #expect(triplets.singularValues == alone.singularValues)
      #expect(triplets.leftVectors.elements == alone.leftVectors.elements)
      #expect(triplets.rightVectors.elements == alone.rightVectors.elements)
      #expect(triplets.residualNorms == alone.residualNorms)
    }
  }
}
