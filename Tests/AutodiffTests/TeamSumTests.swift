import Autodiff
import LinearAlgebra
import Processes
import TestSupport
import Testing

/// A team's sums of parts, each member with some of the hidden units of an MLP.
@Suite struct TeamSumTests {
  /// The hidden units of each member: uneven, and none for some.
  static let divisions = [[7], [3, 4], [0, 7], [2, 0, 5], [1, 1, 2, 3]]

  private static let (width, hidden) = (5, 7)

  /// x ↦ norm(x + W₂ tanh(W₁ norm x)), twice; the parts are `units`, the whole if there is no team.
  private static func program<S: RealScalar>(
    _ x: Variable<S>, units: Range<Int>, _ team: (any Communicator)?
  ) -> Variable<S> {
    var random = SeededGenerator(seed: 3)
    let up = random.normalMatrix(rows: hidden, columns: width)
    let down = random.normalMatrix(rows: hidden, columns: width)
    var x = x
    for _ in 0..<2 {
      let h = x.rmsNorm(gain: nil, epsilon: 1e-6)
      let shared = team.map { h.shared(over: $0) } ?? h
      let part =
        units.isEmpty
        ? Variable<S>(Matrix(rows: x.rows, columns: x.columns))
        : shared.linear(.init(up.rows(units).converted(to: S.self)))
          .activated(by: .tanh)
          .linear(.init(down.rows(units).converted(to: S.self)), transposed: true)
      x = x + (team.map { part.summed(over: $0, of: [shared]) } ?? part)
    }
    return x.rmsNorm(gain: nil, epsilon: 1e-6)
  }

  private static func units(_ counts: [Int], of rank: Int) -> Range<Int> {
    let first = counts[..<rank].reduce(0, +)
    return first..<first + counts[rank]
  }

  private static func linearized<S: RealScalar>(
    _ counts: [Int], _ team: (any Communicator)?, _ precision: S.Type
  ) -> Linearization<S> {
    var random = SeededGenerator(seed: 5)
    let x = random.normalMatrix(rows: 3, columns: width).converted(to: S.self)
    let units = team.map { Self.units(counts, of: $0.rank) } ?? 0..<hidden
    return linearize({ program($0, units: units, team) }, at: x)
  }

  /// ⟨J v, u⟩ = ⟨v, Jᵀ u⟩ in every member, and J is that of the whole: sums of at most 15 terms in a chain of two layers
  /// with weights of norm about 5, each term rounded fewer than 20 times.
  @Test(arguments: divisions) func equalsTheWhole(counts: [Int]) throws {
    try compare(counts, Double.self, tolerance: 1000 * Double.ulpOfOne)
    try compare(counts, Float.self, tolerance: 1000 * Double(Float.ulpOfOne))
  }

  private func compare<S: RealScalar & Sendable>(
    _ counts: [Int], _ precision: S.Type, tolerance: Double
  ) throws {
    let whole = Self.linearized(counts, nil, S.self)
    let (value, jacobian) = (whole.value, whole.materialized())
    let results = try ThreadTeam.run(counts.count) { team in
      let part = Self.linearized(counts, team, S.self)
      return (part.value, part.materialized(), part.adjoint.materialized().transposed)
    }
    let scale = Double(jacobian.frobeniusNorm)
    for (v, j, adjoint) in results {
      let distance = { (a: Matrix<Double>, b: Matrix<Double>) in
        zip(a.elements, b.elements).map { abs($0 - $1) }.max()!
      }
      #expect(
        distance(v.converted(to: Double.self), value.converted(to: Double.self)) <= tolerance)
      #expect(distance(j, jacobian) <= tolerance * scale)
      #expect(distance(j, adjoint) <= tolerance * scale)
      // The same bits in every member.
      #expect(j.elements == results[0].1.elements && adjoint.elements == results[0].2.elements)
    }
  }

  /// One sum per layer in either direction, of every number once.
  @Test func traffic() throws {
    let counts = [3, 0, 4]
    let sent = try ThreadTeam.run(counts.count) { team in
      let part = Self.linearized(counts, team, Float.self)
      var all = [team.traffic]
      for transposes in [false, true] {
        _ = transposes ? part.applyAdjoint(ones) : part.apply(ones)
        all.append(team.traffic)
      }
      return all
    }
    for member in sent {
      let perSum = 3 * Self.width * MemoryLayout<Float>.stride
      #expect(member.map(\.calls) == [2, 4, 6])
      #expect(member.map(\.bytes) == [2 * perSum, 2 * perSum * (1 + 6), 2 * perSum * (1 + 12)])
    }
  }

  private var ones: Matrix<Double> {
    Matrix(rows: 6, columns: 15, elements: Array(repeating: 1, count: 90))
  }
}
