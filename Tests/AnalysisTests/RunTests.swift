import Alignment
import Foundation
import TestSupport
import Testing

@testable import Analysis

/// A run from the library: its record, its folder, its progress, its memory.
struct RunTests {
  private func run(
    _ progress: (any RunProgress)? = nil, _ change: (inout RunSettings) -> Void = { _ in }
  ) throws -> RunResult {
    try alignmentRun(change).run(progress: progress, meter: MemoryMeter())
  }

  private func alignmentRun(_ change: (inout RunSettings) -> Void) throws -> AlignmentRun {
    var settings = RunSettings(model: ModelFixture("llama").folder, name: "llama", threads: 1)
    (settings.top, settings.ranks) = (4, [2, 4])
    change(&settings)
    return try AlignmentRun(settings, prompts: [.tokens([5, 3, 9]), .tokens([7])])
  }

  @Test func recordRoundTrips() throws {
    let record = try run { ($0.layers, $0.fromToken) = ([1, 3], .index(-1)) }.record
    let json = try record.json()
    let again = try RunRecord(json: json)
    #expect(try again.json() == json)
    #expect(again.prompts[0].layers[0].singularValues == record.prompts[0].layers[0].singularValues)
    #expect(again.prompts[0].coupling == record.prompts[0].coupling)
    #expect(again.settings.layers == [1, 3] && again.settings.fromToken == .index(-1))
    #expect(again.settings.rankShare == nil && again.settings.maxMemory == nil)
    #expect(throws: DecodingError.self) { try RunRecord(json: Data("{}".utf8)) }
    #expect(throws: DecodingError.self) { try RunRecord(json: json.dropLast(10)) }
  }

  /// What is shown is computed from the record, unchanged or in another norm and score.
  @Test(arguments: [CouplingSign.signed, .absolute], ["frobenius", "trace", "p=3.0"])
  func shownCouplingIsMadeOfWhatIsRecorded(_ sign: CouplingSign, _ normalisation: String) throws {
    let scratch = try ScratchFolder()
    let made = try folder(scratch["run"]) {
      ($0.sign, $0.normalisation, $0.score) = (sign, normalisation, .misfit)
      ($0.kind, $0.tokens) = (.tokens, .all)
    }
    try made.folder.finish(try made.run.run(in: made.folder, meter: MemoryMeter()))
    let file = try RecordFile(scratch["run"])
    for p in 0..<file.count {
      let (whole, shown) = (try file.prompt(p), try file.shown(prompt: p))
      #expect(shown.coupling.count == 3 * 2 && shown.overlap.isEmpty)
      for table in shown.coupling {
        #expect(table.setting.sign == sign && table.setting.score == .misfit)
        #expect(table.setting.normalisation.rawValue == normalisation)
        guard normalisation == "trace" else { continue }
        var setting = table.setting
        setting.score = .oneMinus
        let recorded = try #require(
          whole.coupling.first { $0.setting == setting && $0.place == table.place })
        for (x, y) in zip(table.matrix.joined(), recorded.matrix.joined()) {
          // Two more divisions and a product, of numbers near 1.
          #expect(
            abs((x ?? 0) - (y.map { 1 - $0 } ?? 0)) <= 8 * Double.ulpOfOne * (1 + abs(x ?? 0)))
        }
      }
    }
  }

  // MARK: Progress

  private final class Watch: RunProgress {
    var steps: [(phase: String, completed: Int, total: Int)] = []
    let limit: Int
    init(cancelAfter limit: Int = .max) { self.limit = limit }
    func update(_ state: RunProgressState) {
      steps.append((state.phase, state.completed, state.total))
    }
    var isCancelled: Bool { steps.count >= limit }
  }

  @Test func progressReachesItsTotal() throws {
    let watch = Watch()
    _ = try run(watch)
    #expect(watch.steps.map(\.completed) == watch.steps.map(\.completed).sorted())
    let last = try #require(watch.steps.last)
    #expect(last.completed == last.total && watch.steps.allSatisfy { $0.total == last.total })
    #expect(Set(watch.steps.map(\.phase)) == ["solving", "coupling"])
  }

  @Test(arguments: [1, 3, 5])
  func cancelledRunsStop(after limit: Int) {
    let watch = Watch(cancelAfter: limit)
    #expect(throws: RunError.interrupted(resume: nil)) { try run(watch) }
    #expect(watch.steps.count == limit)
  }

  // MARK: Folder

  private func folder(_ path: String, _ change: (inout RunSettings) -> Void = { _ in }) throws
    -> (run: AlignmentRun, folder: RunFolder)
  {
    let run = try alignmentRun(change)
    return (run, try RunFolder(path, for: try run.manifest()))
  }

  /// What a run writes, apart from times, memory and the folder's own name.
  private func contents(_ folder: String) throws -> [String: Data] {
    var files: [String: Data] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
      files[name] = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)"))
    }
    var record = try RunRecord(json: try #require(files["result.json"]))
    record.seconds = .init(total: 0, load: 0, solve: 0, coupling: 0)
    (record.peakMemoryBytes, record.peakPrivateBytes, record.settings.output) = (0, 0, nil)
    for p in record.prompts.indices {
      for l in record.prompts[p].layers.indices { record.prompts[p].layers[l].seconds = 0 }
    }
    files["result.json"] = try record.json()
    return files
  }

  @Test func foldersTakeBackWhatWasNotNeeded() throws {
    let scratch = try ScratchFolder()
    let (_, folder) = try folder(scratch["deep/run"])
    #expect(!folder.isComplete && !folder.keepsWork)
    folder.abandon()
    #expect(scratch.contents.isEmpty)
    // A folder of a run that ended before its manifest was written is not another run.
    for files in [[], ["lock"], ["lock", "manifest.json.tmp"]] {
      try FileManager.default.createDirectory(
        atPath: scratch["barely/partial"], withIntermediateDirectories: true)
      for file in files { try scratch.write([], to: "barely/partial/\(file)") }
      try self.folder(scratch["barely"]).folder.abandon()
      try? FileManager.default.removeItem(atPath: scratch["barely"])
    }
    try FileManager.default.createDirectory(
      atPath: scratch["taken"], withIntermediateDirectories: true)
    try scratch.write(Array("theirs".utf8), to: "taken/file")
    #expect(throws: RunError.outputNotEmpty(path: scratch["taken"])) {
      try self.folder(scratch["taken"])
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch["taken"]) == ["file"])
  }

  /// A run stopped after any number of blocks and resumed equals the uninterrupted run bit for bit.
  @Test func stoppedRunsGoOn() throws {
    let scratch = try ScratchFolder()
    let change = { (settings: inout RunSettings) in settings.saveHiddenStates = true }
    let whole = try folder(scratch["whole"], change)
    let watch = Watch()
    try whole.folder.finish(
      try whole.run.run(in: whole.folder, progress: watch, meter: MemoryMeter()))
    let wanted = try contents(scratch["whole"])
    #expect(wanted.count == 7 && wanted["hidden_states.safetensors"] != nil)
    for limit in 1..<watch.steps.count {
      let name = scratch["stopped-\(limit)"]
      let first = try folder(name, change)
      #expect(throws: RunError.interrupted(resume: name)) {
        try first.run.run(
          in: first.folder, progress: Watch(cancelAfter: limit), meter: MemoryMeter())
      }
      first.folder.abandon()
      let begun = try StoredRun(name).record
      #expect(!begun.complete && begun.prompts.count == 2)
      // Another process must wait.
      #expect(throws: RunError.inUse(path: name)) { try self.folder(name, change) }
      first.folder.release()
      let second = try folder(name, change)
      #expect(second.folder.keepsWork)
      try second.folder.finish(try second.run.run(in: second.folder, meter: MemoryMeter()))
      #expect(try contents(name) == wanted, "stopped after \(limit)")
    }
  }

  /// A unit damaged by a crash of the machine is computed again.
  @Test func damagedUnitsAreComputedAgain() throws {
    let scratch = try ScratchFolder()
    let whole = try folder(scratch["whole"])
    let result = try whole.run.run(in: whole.folder, meter: MemoryMeter())
    let partial = scratch["whole/partial"]
    let units = try FileManager.default.contentsOfDirectory(atPath: partial).filter {
      $0.hasPrefix("g")
    }
    // Triplets and couplings of three blocks, and the paths.
    #expect(units.count == 7)
    for (i, unit) in units.sorted().enumerated() {
      let url = URL(fileURLWithPath: "\(partial)/\(unit)")
      var bytes = try Data(contentsOf: url)
      switch i % 3 {
      case 0: bytes[bytes.count - 3] ^= 1
      case 1: bytes.removeLast(bytes.count / 2)
      default: bytes = Data(count: bytes.count)
      }
      try bytes.write(to: url)
    }
    whole.folder.release()
    let again = try folder(scratch["whole"])
    let repeated = try again.run.run(in: again.folder, meter: MemoryMeter())
    let (first, second) = (try result.record, try repeated.record)
    #expect(second.complete)
    #expect(second.prompts.map(\.coupling) == first.prompts.map(\.coupling))
  }

  @Test func otherRunsAreRefused() throws {
    let scratch = try ScratchFolder()
    let path = scratch["run"]
    let first = try folder(path)
    #expect(throws: RunError.interrupted(resume: path)) {
      try first.run.run(in: first.folder, progress: Watch(cancelAfter: 2), meter: MemoryMeter())
    }
    first.folder.release()
    func expectRefusal(_ word: String, _ change: (inout RunSettings) -> Void) {
      let error = #expect(throws: RunError.self) { try folder(path, change) }
      guard case .otherRun(_, let reason)? = error else {
        Issue.record("\(String(describing: error))")
        return
      }
      #expect(reason.description.contains(word), "\(reason)")
    }
    let refusals = {
      expectRefusal("`tolerance`") { $0.tolerance = 1e-6 }
      expectRefusal("`site`") { $0.site = .mlp }
      expectRefusal("`seed` is 0 there and 7 here") { $0.seed = 7 }
      expectRefusal("weights") { $0.model = ModelFixture("odd").folder }
    }
    refusals()
    // A difference in a setting that no number depends on is harmless.
    let change = { (settings: inout RunSettings) in
      (settings.threads, settings.name, settings.output) = (2, "other", "elsewhere")
    }
    let second = try folder(path, change)
    try second.folder.finish(try second.run.run(in: second.folder, meter: MemoryMeter()))
    second.folder.release()
    #expect(try StoredRun(path).record.model.name == "other")
    refusals()
    #expect(try folder(path).folder.isComplete)
  }

  private func finished(
    _ path: String, _ change: (inout RunSettings) -> Void
  ) throws -> [String: Data] {
    let made = try folder(path, change)
    try made.folder.finish(try made.run.run(in: made.folder, meter: MemoryMeter()))
    return try contents(path)
  }

  /// What is shown, and what is written besides, can be changed for a stopped run and for a finished one.
  @Test(arguments: [2, 4, 5])
  func aRunIsReadAnotherWay(after limit: Int) throws {
    let scratch = try ScratchFolder()
    let path = scratch["run"]
    let first = try folder(path)
    #expect(throws: RunError.interrupted(resume: path)) {
      try first.run.run(in: first.folder, progress: Watch(cancelAfter: limit), meter: MemoryMeter())
    }
    first.folder.release()
    let change = { (s: inout RunSettings) in
      (s.sign, s.diagonal, s.saveHiddenStates) = (.absolute, .included, true)
    }
    #expect(try finished(path, change) == finished(scratch["fresh"], change))
    let ended = try folder(path)
    #expect(ended.folder.isComplete)
    let reading = ended.run.settings.reading
    #expect(try ended.folder.adopt(reading))
    #expect(try !ended.folder.adopt(reading))
    #expect(try contents(path) == finished(scratch["signed"]) { $0.saveHiddenStates = true })
    // What a finished run did not keep is not available.
    _ = try finished(scratch["without"]) { _ in }
    let error = #expect(throws: RunError.self) { try folder(scratch["without"], change) }
    #expect(error?.description.contains("`save_hidden_states` is false there and true") == true)
  }

  // MARK: Memory

  @Test func peaksNeverFall() {
    let meter = MemoryMeter()
    var peaks: [(Int, Int)] = [(meter.peakResidentBytes, meter.peakPrivateBytes)]
    for _ in 0..<5 {
      // The memory is written to, so that it is resident, and freed at the end of each round.
      let block = [UInt8](repeating: 1, count: 32 << 20)
      meter.sample()
      #expect(block[block.count / 2] == 1)
      peaks.append((meter.peakResidentBytes, meter.peakPrivateBytes))
    }
    for (a, b) in zip(peaks, peaks.dropFirst()) { #expect(a.0 <= b.0 && a.1 <= b.1) }
    #if os(Linux)
      #expect(peaks.last!.1 >= 32 << 20 && peaks.last!.0 >= peaks.last!.1)
    #endif
  }
}
