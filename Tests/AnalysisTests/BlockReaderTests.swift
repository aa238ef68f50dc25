import Checkpoint
import Files
import Foundation
import Model
import TestSupport
import Testing

@testable import Analysis

/// Blocks are read one ahead, within the memory, and what is read is reported.
struct BlockReaderTests {
  private struct Stop: Error {}

  @Test func aWaitIsShownAfterAWhile() throws {
    var clock = ReadingClock("block 1 of 2", now: 10)
    let early = clock.state(loaded: 100, of: 900, now: 10.1)
    #expect(early == nil)
    #expect(!clock.hasShown)
    let shown = clock.state(loaded: 300, of: 900, now: 10.5)
    #expect(
      shown == ReadingProgress(name: "block 1 of 2", loaded: 300, total: 900, rate: 400))
    let soon = clock.state(loaded: 400, of: 900, now: 10.6)
    #expect(soon == nil)
    // Nothing was read since: the rate says so in the end.
    let late = clock.state(loaded: 300, of: 900, now: 12)
    #expect(late?.rate == 100)
    #expect(clock.hasShown)
  }

  @Test(arguments: ModelFixture.all) func theReadPartsAreTheTensors(_ fixture: ModelFixture) throws
  {
    let model = try loadTransformer(CheckpointDirectory(opening: fixture.folder))
    for l in 0..<model.description.layers {
      let chosen = Set(model.chosenTensors(ofBlock: l)?.names ?? [])
      let names = model.tensorNames(ofBlock: l).filter { !chosen.contains($0) }
      let infos = Set(names).compactMap { model.source.info($0) }
      let parts = model.readParts(ofBlock: l)
      let files = try infos.map { try model.source.tensor($0.name) }
        .filter { $0.owner is MappedFile }
      #expect(parts.byteCount >= files.reduce(0) { $0 + $1.bytes.count })
      #expect(parts.pieces(of: 1 << 20).byteCount <= parts.byteCount)
    }
    #expect(model.headParts.byteCount == model.headBytes || model.headParts.isEmpty)
    #expect(model.readParts(ofBlock: -1).isEmpty)
    #expect(model.readParts(ofBlock: model.description.layers).isEmpty)
  }

  /// With too little memory for a block nothing is read and nothing waited for; otherwise the block is in memory.
  @Test(arguments: [0, 1 << 40]) func aBlockThatFitsIsRead(memory: Int) throws {
    let model = try loadTransformer(CheckpointDirectory(opening: ModelFixture.all[0].folder))
    let reader = BlockReader(model, memory: memory)
    for l in 0..<model.description.layers {
      try reader.enter(.block(l), next: .block(l + 1))
      let read = reader.reader.progress
      #expect(read?.loaded == read?.total)
      #expect(read?.id == (memory > 0 ? l : nil))
      reader.leave(.block(l))
      #expect(reader.reader.progress == nil)
    }
    try reader.enter(.head)
    let head = reader.reader.progress
    #expect(head?.total == (memory > 0 ? model.headBytes : nil))
    #expect(head?.loaded == head?.total)
    #expect((reader.secondsWaited > 0) == (memory > 0))
  }
}
