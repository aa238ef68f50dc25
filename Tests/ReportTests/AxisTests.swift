import Testing

@testable import Report

/// Marks on axes.
struct AxisTests {
  /// However short or long a logarithmic axis is, it has numbers, and not too many.
  @Test(
    arguments: [
      (2.0, 3.0), (3.1, 4.2), (1, 58), (0.9, 6), (1.7, 1.7), (2e3, 2.5e4), (1e-9, 1e9),
      (4e-7, 5e-7), (1, 1e300),
      (1e-300, 1e20),
    ], [4, 8])
  func logarithmicAxesHaveNumbers(ends: (Double, Double), most: Int) throws {
    let tics = Axis.logarithmicTics([ends.0, ends.1, nil, 0, -1], most: most)
    let marks = tics.matches(of: /'([^']+)' ([-+.0-9e]+)/).compactMap { Double($0.2) }
    #expect(marks.count >= 2 && marks.count <= most, "\(tics)")
    let range = Axis.range([ends.0, ends.1], isLogarithmic: true).dropFirst().dropLast()
    let (low, high) = (
      Double(range.split(separator: ":")[0])!, Double(range.split(separator: ":")[1])!
    )
    #expect(marks.allSatisfy { $0 >= low && $0 <= high }, "\(tics) in \(range)")
    #expect(zip(marks, marks.dropFirst()).allSatisfy { $0 < $1 })
  }

  @Test func marksAreRound() {
    #expect(Axis.logarithmicTics([1, 6]) == "('1' 1.0, '2' 2.0, '5' 5.0)")
    #expect(
      Axis.logarithmicTics([1, 1e4])
        == "('1' 1.0, '10' 10.0, '100' 100.0, '1000' 1000.0, '10000' 10000.0)")
    #expect(Axis.number(0.05) == "0.05" && Axis.number(2e-5) == "2·10⁻⁵")
    #expect(Axis.number(1e7) == "10⁷" && Axis.number(20_000) == "20000")
  }
}
