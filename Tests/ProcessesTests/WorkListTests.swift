import Foundation
import Processes
import TestSupport
import Testing

@Suite struct WorkListTests {
  @Test func everyUnitIsTakenOnce() throws {
    let sharings = ThreadSharing.sharings(4)
    let taken = try ThreadTeam.run(4) { team in
      try (0..<100).filter { try sharings[team.rank].claim("unit \($0)") }
    }
    #expect(taken.flatMap { $0 }.sorted() == Array(0..<100))
  }

  @Test func waitingReturnsTheNotesOfAllUnits() throws {
    let sharings = ThreadSharing.sharings(3)
    let units = (0..<3).map { "unit \($0)" }
    let notes = try ThreadTeam.run(3) { team in
      let sharing = sharings[team.rank]
      try sharing.finish(units[team.rank], note: Data([UInt8(team.rank)]))
      return try sharing.wait(for: units)
    }
    for notes in notes { #expect(notes == [Data([0]), Data([1]), Data([2])]) }
  }

  @Test func aFinishedUnitIsNotTakenAgain() throws {
    let sharing = AloneSharing()
    try sharing.finish("unit")
    #expect(try !sharing.claim("unit"))
  }

  @Test func teamsGoWhereThereAreFewest() {
    var list = WorkList(teams: 3)
    #expect(list.answer(.enter([5, 6]), from: 0) == .place(5))
    #expect(list.answer(.enter([5, 6]), from: 1) == .place(6))
    #expect(list.answer(.enter([5, 6]), from: 2) == .place(5))
    // A team that leaves is no longer counted where it was.
    #expect(list.answer(.enter([5, 6]), from: 0) == .place(5))
    #expect(list.answer(.enter([]), from: 0) == .place(nil))
    #expect(list.answer(.enter([6, 5]), from: 1) == .place(6))
  }

  @Test func countersAddUp() throws {
    let sharings = ThreadSharing.sharings(2)
    _ = try sharings[0].count([1, 2])
    #expect(try sharings[1].count([10]) == [11, 2])
  }

  @Test func theFirstFailureStopsEveryTeam() throws {
    let sharings = ThreadSharing.sharings(2)
    let failure = WorkStopped("the disk is full", status: 1, process: 1)
    #expect(!sharings[0].isStopped)
    sharings[1].fail(failure)
    sharings[0].fail(WorkStopped("a consequence", status: 2, process: 0))
    #expect(sharings[0].isStopped)
    #expect(throws: failure) { try sharings[0].claim("unit") }
    #expect(throws: failure) { try sharings[1].wait(for: ["unit"]) }
  }

  @Test func membersOfATeamGetTheLeadersAnswers() throws {
    let sharings = ThreadSharing.sharings(2)
    #expect(try sharings[1].claim("unit 1"))
    let failure = WorkStopped("a member failed", status: 1, process: 2)
    let answers = try ThreadTeam.run(3) { members in
      let sharing = TeamSharing(sharings[0], among: members)
      let claims = try (0..<3).map { try sharing.claim("unit \($0)") }
      try sharing.finish("unit 0", note: Data([7]))
      #expect(try sharing.notes(of: ["unit 0", "unit 1"]) == [Data([7]), nil])
      members.barrier()
      if members.rank == 2 { sharing.fail(failure) }
      members.barrier()
      #expect(sharing.isStopped)
      #expect(throws: failure) { try sharing.claim("unit 3") }
      return claims
    }
    for claims in answers { #expect(claims == [true, false, true]) }
  }

  @Test func requestsSurviveTheirEncoding() throws {
    let requests: [WorkRequest] = [
      .claim("a"), .finish("b", Data([1, 2])), .notes(["a", "b"]), .enter([1]), .count([3]),
      .fail(WorkStopped("why", status: 4, process: 2)),
    ]
    let data = try JSONEncoder().encode(requests)
    #expect(try JSONDecoder().decode([WorkRequest].self, from: data) == requests)
  }
}
