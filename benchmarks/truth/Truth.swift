import Foundation
import Lanczos
import LinearAlgebra
import Synchronization
import Weights

/// Solves hard problems with known triplets, with every solver, and prints how many triplets were missed, how many bounds were
/// exceeded, how tight the bounds are, and the cost.
///
/// `truth [--seeds N] [--sizes 20,64] [--counts 1,10] [--kinds text] [--solvers block] [--check on|off|both]`
@main struct Truth {
  /// The size above which a dense decomposition takes longer than everything else together.
  static let largestDense = 256

  static func main() throws {
    let options = Options(CommandLine.arguments.dropFirst())
    let work = options.work
    let tallies = Mutex<[Key: Tally]>([:])
    let next = Mutex(0)
    let start = ContinuousClock.now
    DispatchQueue.concurrentPerform(iterations: options.threads) { _ in
      Engine(threads: 1).use {
        while true {
          let i = next.withLock { i in
            defer { i += 1 }
            return i
          }
          guard i < work.count else { return }
          let unit = work[i]
          for (key, tally) in unit.tallies() {
            tallies.withLock { $0[key, default: Tally()].add(tally) }
          }
          fflush(nil)
          if i % 20 == 19 {
            FileHandle.standardError.write(Data("\(i + 1) of \(work.count) parts begun\n".utf8))
          }
        }
      }
    }
    let seconds = (ContinuousClock.now - start).components.seconds
    exit(report(tallies.withLock { $0 }, options, seconds: Int(seconds)) ? 0 : 1)
  }

  /// Prints the table, and returns whether nothing was missed and no bound exceeded.
  private static func report(
    _ tallies: [Key: Tally], _ options: Options, seconds: Int
  ) -> Bool {
    func line(_ name: String, _ cells: [String]) {
      let padded = ([(name, 34)] + cells.map { ($0, 9) }).map {
        $0.0.padding(toLength: max($0.1, $0.0.count + 1), withPad: " ", startingAt: 0)
      }
      print(padded.joined())
    }
    func sum(_ isChecked: Bool, _ matches: (Key) -> Bool) -> Tally {
      tallies.filter { $0.key.isChecked == isChecked && matches($0.key) }
        .reduce(into: Tally()) { $0.add($1.value) }
    }
    func row(_ name: String, _ matches: (Key) -> Bool) {
      let (on, off) = (sum(true, matches), sum(false, matches))
      if on.solves + off.solves > 0 { line(name, Tally.row(on, off)) }
    }
    print(
      """
      missed: with the check on, and off among the converged; exceeded: a value or a vector off by more than its bound
      value, vector: the worst true error over its bound; slack: the median of bound over true error of values
      passes, probing: medians, of the solve and of its certificate

      """)
    for precision in HardProblem.Precision.allCases {
      line(precision.rawValue, Tally.columns)
      for kind in options.kinds {
        for solver in options.solvers {
          row("\(kind.rawValue), \(solver)") {
            $0.kind == kind && $0.solver == solver && $0.precision == precision
          }
        }
      }
      print("")
    }
    line("both", Tally.columns)
    for solver in options.solvers { row("\(solver)") { $0.solver == solver } }
    row("all") { _ in true }
    let (checked, unchecked) = (sum(true) { _ in true }, sum(false) { _ in true })
    let against = sum(true) { $0.isAgainstProof }
    print(
      "\n\(checked.solves) solves with the check on: \(checked.missed) missed something, "
        + "\(checked.exceeded) exceeded a bound, \(checked.notConverged) did not converge; "
        + "\(unchecked.solves) with the check off: \(unchecked.missed) missed something while "
        + "converged; \(seconds) s")
    if against.missed > 0 {
      print(
        "\(against.missed) of those that missed something are maps made from the start vectors, "
          + "which the proof by a solve's own space assumes to be independent of the map")
    }
    return checked.missed == 0 && checked.exceeded == 0
  }
}

/// The key of a tally.
struct Key: Hashable, Sendable {
  let kind: HardSpectrum
  let solver: SolverCase
  let precision: HardProblem.Precision
  let isChecked: Bool

  /// Whether the maps are made from the vectors that the solver starts with, and its own space is the proof, which holds for maps
  /// that are independent of them. A search starts from other vectors.
  var isAgainstProof: Bool {
    kind == .unseen && (solver.kind == .block || solver.kind == .randomized)
  }

  init(
    _ kind: HardSpectrum, _ solver: SolverCase, _ precision: HardProblem.Precision,
    _ isChecked: Bool
  ) {
    (self.kind, self.solver, self.precision, self.isChecked) = (kind, solver, precision, isChecked)
  }
}

/// All seeds of one kind, size and count.
struct Unit: Sendable {
  let kind: HardSpectrum
  let size: Int
  let count: Int
  let options: Options

  /// A tally for each solver, precision and check.
  func tallies() -> [Key: Tally] {
    var tallies: [Key: Tally] = [:]
    for solver in options.solvers where solver.kind != .dense || size <= Truth.largestDense {
      // Batches are filled with some more seeds at the end.
      for first in stride(from: 0, to: options.seeds, by: solver.members) {
        for precision in HardProblem.Precision.allCases {
          for isChecked in options.checks {
            let key = Key(kind, solver, precision, isChecked)
            let seed = UInt64(first)
            do {
              let problems = try (first..<first + solver.members).map {
                try HardProblem(kind, size: size, count: count, seed: UInt64($0), start: seed)
              }
              let trial = Trial(
                solver: solver, problems: problems, precision: precision, isChecked: isChecked,
                seed: seed)
              for (problem, verdict) in zip(problems, try trial.run()) {
                tallies[key, default: Tally()].add(verdict, isChecked: isChecked)
                if isChecked && (verdict.missed || verdict.exceeded) || options.isVerbose {
                  print(
                    verdict.missed ? "missed:" : verdict.exceeded ? "exceeded:" : "solved:",
                    problem, solver, precision, "check", isChecked ? "on" : "off", "start \(seed)",
                    "value", Float(verdict.worstValue), "vector", Float(verdict.worstVector),
                    verdict.converged ? "" : "not converged")
                }
              }
            } catch {
              print("error:", kind.rawValue, "n = \(size), K = \(count)", solver, precision, error)
            }
          }
        }
      }
    }
    return tallies
  }
}

/// The options of the command line.
struct Options: Sendable {
  var seeds = 20
  var sizes = [20, 64, 256, 1024, 2048]
  var counts = [1, 5, 10, 30]
  var kinds = HardSpectrum.allCases
  var solvers = SolverCase.all
  var checks = [true, false]
  var threads = ProcessInfo.processInfo.activeProcessorCount
  var isVerbose = false

  init(_ arguments: some Sequence<String>) {
    var rest = Array(arguments)[...]
    func numbers(_ text: String) -> [Int] { text.split(separator: ",").compactMap { Int($0) } }
    while let name = rest.popFirst() {
      let value = rest.popFirst() ?? ""
      switch name {
      case "--seeds": seeds = Int(value) ?? seeds
      case "--sizes": sizes = numbers(value)
      case "--counts": counts = numbers(value)
      case "--threads": threads = Int(value) ?? threads
      case "--kinds": kinds = kinds.filter { $0.rawValue.contains(value) }
      case "--solvers": solvers = solvers.filter { "\($0)".hasPrefix(value) }
      case "--check": checks = value == "both" ? [true, false] : [value == "on"]
      case "--verbose": isVerbose = value == "yes"
      default:
        print("unknown option \(name)")
        exit(2)
      }
    }
  }

  /// Every count at the smaller sizes, one count at each of the larger ones; the longest first.
  var work: [Unit] {
    sizes.sorted(by: >).enumerated().flatMap { place, size in
      kinds.enumerated().flatMap { i, kind -> [Unit] in
        guard kind.exists(size: size) else { return [] }
        let possible = counts.filter { $0 < size / 2 + 1 }
        let chosen =
          size <= 256 || possible.isEmpty ? possible : [possible[(i + place) % possible.count]]
        return chosen.map { Unit(kind: kind, size: size, count: $0, options: self) }
      }
    }
  }
}

extension HardProblem: CustomStringConvertible {
  var description: String { "\(kind.rawValue), n = \(size), K = \(count), seed \(seed);" }
}
