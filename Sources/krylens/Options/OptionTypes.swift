import Alignment
import Analysis
import ArgumentParser
import Foundation
import Lanczos
import Model

// How the values of the library are spelled as options.

extension SolverKind: ExpressibleByArgument {
  /// The names that help texts list.
  public static var allValueStrings: [String] {
    (allCases + [.parpack]).filter(\.isAvailable).map(\.rawValue)
  }

  /// Refuses a solver that this build does not have.
  func check() throws {
    guard !isAvailable else { return }
    throw ValidationError(
      "--solver \(rawValue): this krylens was built without MPI; build it with swift build -c release --traits MPI, or "
        + "choose block")
  }
}
extension PrecisionMode: ExpressibleByArgument {}
extension CertifyMode: ExpressibleByArgument {}
extension EigensolverKind: ExpressibleByArgument {}
extension CouplingSign: ExpressibleByArgument {}
extension CouplingForm: ExpressibleByArgument {}
extension CouplingForms: ExpressibleByArgument {}
extension CouplingScore: ExpressibleByArgument {}
extension LastBlockMode: ExpressibleByArgument {}
extension DiagonalMode: ExpressibleByArgument {}
extension JacobianSite: ExpressibleByArgument {}
extension TrajectoryStatistic.Tokens: ExpressibleByArgument {}

extension CouplingKind: ExpressibleByArgument {}

extension TokenList: ExpressibleByArgument {
  /// Same as `init(_:)`.
  public init?(argument: String) { self.init(argument) }
}

extension Shard: ExpressibleByArgument {
  /// Same as `init(_:)`.
  public init?(argument: String) { self.init(argument) }
}

extension TokenIndex: ExpressibleByArgument {
  /// Same as `init(_:)`.
  public init?(argument: String) { self.init(argument) }
  /// The index as it is written on the command line.
  public var defaultValueDescription: String {
    switch self {
    case .last: "last"
    case .index(let i): "\(i)"
    }
  }
}

/// A normalisation: `frobenius`, `trace`, or an exponent, `p=1.5` or `1.5`.
struct Normalisation: ExpressibleByArgument {
  let value: CouplingNormalisation
  init?(argument: String) {
    guard
      let value = CouplingNormalisation(rawValue: argument)
        ?? CouplingNormalisation(rawValue: "p=\(argument)")
    else { return nil }
    self.value = value
  }
}

/// A list of integers, `1,2,3`; spaces around the numbers are ignored.
struct IntegerList: ExpressibleByArgument {
  let values: [Int]
  init?(argument: String) {
    let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
    let values = parts.compactMap { Int($0.trimmingCharacters(in: .whitespaces)) }
    guard values.count == parts.count else { return nil }
    self.values = values
  }

  /// The list as it is written on the command line.
  var defaultValueDescription: String { values.map(String.init).joined(separator: ",") }
}

/// A list of layers: `1-30`, `1,5,9`, or a mixture.
struct LayerList: ExpressibleByArgument {
  let values: [Int]
  init?(argument: String) {
    var values: [Int] = []
    for part in argument.split(separator: ",", omittingEmptySubsequences: false) {
      let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
      guard let first = ends[0], let last = ends.last ?? nil, ends.count <= 2, first <= last,
        last - first < 1 << 20
      else { return nil }
      values += first...last
    }
    // Each once, in order.
    self.values = Set(values).sorted()
  }
}

/// A number of bytes: `2GB` (10⁹), `2GiB` (2³⁰), `500MB`, or plain bytes.
struct ByteCount: ExpressibleByArgument {
  let bytes: Int
  init?(argument: String) {
    let units: [(String, Double)] = [
      ("KiB", 0x1p10), ("MiB", 0x1p20), ("GiB", 0x1p30), ("TiB", 0x1p40), ("KB", 1e3), ("kB", 1e3),
      ("MB", 1e6), ("GB", 1e9), ("TB", 1e12), ("B", 1), ("", 1),
    ]
    let (unit, factor) = units.first { argument.hasSuffix($0.0) }!
    guard let number = Double(argument.dropLast(unit.count)), number > 0,
      number * factor < 0x1p62
    else { return nil }
    bytes = Int(number * factor)
  }
}
