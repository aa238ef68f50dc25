import Processes
import TestSupport
import Testing

@Suite struct CommunicatorTests {
  @Test(arguments: [1, 2, 3, 4])
  func everyRankGetsTheSameSum(size: Int) throws {
    let sums = try ThreadTeam.run(size) { team in
      var values = (0..<5).map { Double($0) + 0.1 * Double(team.rank) }
      values.withUnsafeMutableBufferPointer { team.sum($0) }
      return values
    }
    let expected = (0..<5).map { i in
      (0..<size).reduce(0.0) { $0 + (Double(i) + 0.1 * Double($1)) }
    }
    for sum in sums { #expect(sum == expected) }
  }

  @Test func unequalPartsAreGatheredInOrder() throws {
    let partition = Partition(of: 7, parts: 4, unit: 2)
    let wholes = try ThreadTeam.run(4) { team in
      let part = partition.ranges[team.rank].map { Double($0) }
      var whole = [Double](repeating: -1, count: 7)
      part.withUnsafeBufferPointer { part in
        whole.withUnsafeMutableBufferPointer {
          team.gather(part, into: $0, counts: partition.counts)
        }
      }
      return whole
    }
    for whole in wholes { #expect(whole == (0..<7).map { Double($0) }) }
  }

  @Test func theLeadersValueIsAgreedOn() throws {
    #expect(try ThreadTeam.run(3) { $0.agreed(10 + $0.rank) } == [10, 10, 10])
  }

  @Test func trafficCountsOperands() throws {
    let traffic = try ThreadTeam.run(2) { team in
      var values = [Float](repeating: 1, count: 6)
      values.withUnsafeMutableBufferPointer { team.sum($0) }
      team.barrier()
      return team.traffic
    }
    for traffic in traffic {
      #expect(traffic.calls == 1)
      #expect(traffic.bytes == 24)
    }
  }
}

@Suite struct PartitionTests {
  @Test(arguments: [(10, 3, 1), (3, 5, 1), (96, 4, 32), (40, 3, 32), (0, 2, 8)])
  func rangesCoverEverythingOnceAndBeginAtUnits(count: Int, parts: Int, unit: Int) {
    let ranges = Partition(of: count, parts: parts, unit: unit).ranges
    #expect(ranges.count == parts)
    #expect(ranges.flatMap { Array($0) } == Array(0..<count))
    for range in ranges { #expect(range.lowerBound % unit == 0 || range.lowerBound == count) }
    let units = ranges.map { ($0.count + unit - 1) / unit }
    #expect(units.max()! - units.min()! <= 1)
  }
}
