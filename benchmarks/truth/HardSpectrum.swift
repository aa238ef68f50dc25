import Foundation
import LinearAlgebra

/// Spectra and maps that are known to mislead solvers of large singular value problems.
enum HardSpectrum: String, CaseIterable, Sendable {
  /// 2 to 20 values within 10⁻² to 10⁻¹² of one another, the largest ones.
  case clusterAtTop = "cluster at the top"
  /// Such a cluster, half of it requested.
  case clusterAtCut = "cluster at the cut"
  /// Such a cluster right after the requested values.
  case clusterBelow = "cluster below"
  /// 9 to 30 equal values, more than a block is wide, the largest ones.
  case equalAtTop = "equal at the top"
  /// The same number of equal values, half of them requested.
  case equalAtCut = "equal at the cut"
  /// The identity plus a perturbation of size 10⁻³.
  case nearIdentity = "identity + 1e-3"
  /// One large value, and all others 1.
  case rankOne = "rank one + identity"
  /// A slow decay, each value repeated 2 to 16 times.
  case equalBlocks = "equal blocks"
  /// Copies of one random block, 16 if there is room, each with inputs and outputs of its own.
  case copiedBlock = "copies of a block"
  /// The largest value's right vector is orthogonal to all of the solver's start vectors: two blocks, one never entered.
  case unseen = "start misses a block"
  /// The values 1/k.
  case harmonic = "1/k"
  /// A plateau that ends near the cut, then a tenth of it.
  case drop = "flat, then a drop"
  /// A geometric sequence from 1 to 10⁻¹².
  case graded = "graded to 1e-12"
  /// The adjacency of a ring of 20: all but two values in fours or pairs.
  case cycle = "cycle of 20"
  /// The largest eigenvalues of Boeing/pwtk: a triple within 7 · 10⁻⁵ at the cut, the next ones 0.7 % below.
  case triple = "pwtk's triple"

  /// Whether there is such a map of this size.
  func exists(size n: Int) -> Bool { self != .cycle || n == 20 }

  /// n values, largest first, of a map of which `count` are requested.
  func values(
    size n: Int, count: Int, using random: inout SeededGenerator
  ) -> [Double] {
    let plain = Self.fall(4.5, n, to: 0.1)
    let above = Self.fall(6, count + 1, to: 5.2)
    let half = { (m: Int) in Array(above.prefix(max(0, count - m / 2))) }
    let values: [Double]
    switch self {
    case .clusterAtTop: values = Self.cluster(&random) + plain
    case .clusterAtCut:
      let cluster = Self.cluster(&random)
      values = half(cluster.count) + cluster + plain
    case .clusterBelow: values = above + Self.cluster(&random) + plain
    case .equalAtTop: values = Self.equal(&random) + plain
    case .equalAtCut:
      let equal = Self.equal(&random)
      values = half(equal.count) + equal + plain
    case .nearIdentity:
      // The values of a symmetric Gaussian matrix: a semicircle.
      values = (0..<n).map { _ in 1 + 1e-3 * Self.semicircle(&random) }
    case .rankOne: values = [3] + Array(repeating: 1, count: n)
    case .equalBlocks:
      let copies = [2, 4, 8, 12, 16].randomElement(using: &random)!
      values = (0..<n).map { 5 * pow(0.9, Double($0 / copies)) }
    case .copiedBlock: values = []
    case .unseen: values = [6] + plain
    case .harmonic: values = (1...n).map { 1 / Double($0) }
    case .drop:
      let flat = max(1, count + [-2, -1, 0, 1, 2, 5].randomElement(using: &random)!)
      values = (0..<n).map { $0 < flat ? 1 + 0.01 * Double($0) : 0.1 * Double(flat) / Double($0) }
    case .graded: values = (0..<n).map { pow(10, -12 * Double($0) / Double(n - 1)) }
    case .cycle: values = (0..<n).map { abs(2 * cos(2 * .pi * Double($0) / Double(n))) }
    case .triple:
      values =
        Self.fall(1.08, max(0, count - 3), to: 1.02) + [1.0058929, 1.00589283, 1.00589219]
        + Self.fall(0.9991, n, to: 0.2)
    }
    return Array(values.prefix(n)).sorted(by: >)
  }

  private static func fall(_ first: Double, _ count: Int, to last: Double) -> [Double] {
    (0..<count).map { first + (last - first) * Double($0) / Double(max(count - 1, 1)) }
  }

  private static func cluster(_ random: inout SeededGenerator) -> [Double] {
    let count = Int.random(in: 2...20, using: &random)
    let width = pow(10, -Double.random(in: 2...12, using: &random))
    return (0..<count).map { 5 * (1 - width * Double($0) / Double(count - 1)) }
  }

  private static func equal(_ random: inout SeededGenerator) -> [Double] {
    Array(repeating: 5, count: Int.random(in: 9...30, using: &random))
  }

  private static func semicircle(_ random: inout SeededGenerator) -> Double {
    while true {
      let (x, y) = (2 * random.uniform() - 1, random.uniform())
      if x * x + y * y < 1 { return 2 * x }
    }
  }
}
