import Autodiff
import Checkpoint
import Files
import Lanczos
import LinearAlgebra
import Model
import Processes
import Weights

/// A `triplets` run: takes a model, prompts and a map, and finds the map's singular triplets.
package struct MapRun {
  /// The settings of the run.
  package let settings: MapSettings
  /// Notes for the user on the model's files and the prompts, one line each.
  package var notes: [String] { loaded.notes }
  private let problem: MapProblem
  /// The number of triplets per map.
  private let count: Int
  private let reader: VectorReader?

  /// The folder type of such runs.
  package typealias Folder = ResultFolder<MapManifest>

  /// Opens the model, tokenizes the prompts and checks every option against both, before any work is done.
  ///
  /// Throws `FileError`, `ModelError`, `RunError`.
  package init(
    _ requested: MapSettings, prompts inputs: [PromptInput],
    team: any Communicator = SingleProcess()
  ) throws {
    let loaded = try LoadedModel(requested.common, prompts: inputs, team: team)
    problem = try MapProblem(requested.map, of: loaded)
    count = try problem.count(requested.solution)
    var settings = requested
    settings.top = count
    self.settings = settings
    reader = try settings.readOut.map { number throws(RunError) in
      try VectorReader(loaded, count: number)
    }
  }

  private var loaded: LoadedModel { problem.loaded }
  private var resolved: [ResolvedMap] { problem.resolved }

  /// Everything that determines the run's numbers. Reads the weights once. Throws `FileError`.
  package func manifest(progress: (any RunProgress)? = nil) throws -> MapManifest {
    MapManifest(
      krylens: krylensVersion, model: try loaded.record(progress: progress), settings: settings,
      prompts: entries, computedWith: [ProcessorRecord(loaded.engine)],
      blockSize: problem.decided(settings.solution, count).blockSize)
  }

  /// How the maps are solved in a run, which may have been started with another block size.
  private func solution(_ manifest: MapManifest) -> MapSolution {
    var solution = settings.solution
    solution.blockSize = manifest.blockSize
    return solution
  }

  private var entries: [PromptEntry] { loaded.prompts.map { PromptEntry($0, in: loaded) } }

  /// Runs in a folder, resuming from what is finished there, and writes the results; with several processes, each takes prompts
  /// that no other has, and the leader writes. An average is solved by one of them. Returns nil for the others.
  ///
  /// A solve that did not converge is a result, and so is a prompt that failed: its record says why. Throws
  /// `RunError.allFailed` if every prompt failed, what a model that changes during the run throws, `RunError.interrupted`,
  /// `WorkStopped` if another process failed, and `cannotRead`, `cannotWrite` and `lostUnit` for what is kept.
  package func run(
    in folder: Folder, as processes: RunProcesses = .alone, progress: (any RunProgress)? = nil,
    meter: MemoryMeter
  ) throws -> MapRunRecord? {
    let start = monotonicSeconds()
    let model = loaded.model
    let journal = MapJournal(folder.units, writes: processes.team.isLeader) {
      try model.source.checkIntact()
    }
    if let limit = settings.maxMemory {
      try processes.together {
        try loaded.engine.use { try checkMemory(limit, solution(folder.manifest)) }
      }
    }
    let tasks: [Int?] = settings.average ? [nil] : Array(loaded.prompts.indices)
    let work = UnitWork(folder, processes, progress, total: tasks.count)
    try loaded.engine.use {
      for p in tasks where try work.claim(MapResults.name(p)) {
        let isNew = try work.isAny(!journal.isKnown(p))
        if isNew { try solve(p, model, journal, work) }
        try work.finish(MapResults.name(p))
        try work.count(1, isNew: isNew, "solving")
        try work.check()
      }
    }
    try work.leave()
    guard work.isLeadersTeam else { return nil }
    if work.isShared {
      for p in tasks {
        _ = try work.finished(p.map { "prompt \($0 + 1)" } ?? "the average") {
          try work.isAny(!isFinished(p, journal)) ? nil : true
        }
      }
    }
    guard work.isLeader else { return nil }
    let solved = monotonicSeconds()
    var record = try loaded.engine.use {
      try self.record(journal, folder.manifest)
    }
    guard record.failures.count < loaded.prompts.count else {
      folder.takeBack()
      throw RunError.allFailed(record.failures)
    }
    try model.source.checkIntact()
    record.head.seconds = RecordSeconds(
      total: loaded.seconds + monotonicSeconds() - start, load: loaded.seconds,
      solve: solved - start)
    record.head.residualsAgainst =
      "the map as linearised and evaluated in the precision beside them"
    record.head.measure(meter)
    try MapResults(record, journal).write(to: folder)
    return record
  }

  /// Whether a prompt is finished, or for nil the average; there is none if all prompts failed.
  private func isFinished(_ p: Int?, _ journal: MapJournal) throws -> Bool {
    if try journal.isKnown(p) { return true }
    return try p == nil && loaded.prompts.indices.allSatisfy { try journal.failure($0) != nil }
  }

  // MARK: Solving

  /// Solves the map of a prompt, or the average over all prompts for nil.
  private func solve(
    _ p: Int?, _ model: some Transformer, _ journal: MapJournal, _ work: UnitWork<MapManifest>
  ) throws {
    guard let p else { return try solveAverage(model, journal, work) }
    let found: (triplets: SingularTriplets, record: MapRecord)
    do { found = try triplets(of: [p], work) } catch {
      try work.check()
      let lost =
        try loss(of: loaded.prompts[p].input, resolved[p], in: model).map { LostPrompt($0) }
        ?? LostPrompt(
          .solving, layer: resolved[p].lastBlock, TokenSelection(resolved[p].toTokens.last ?? 0),
          reason: failureReason(error))
      return try journal.keep(lost, p)
    }
    // A full disk is not the prompt's failure.
    try journal.keep(found, p)
  }

  /// Solves the average over all prompts that do not fail.
  private func solveAverage(
    _ model: some Transformer, _ journal: MapJournal, _ work: UnitWork<MapManifest>
  ) throws {
    var survivors: [Int] = []
    for p in loaded.prompts.indices where try !work.isAny(journal.failure(p) != nil) {
      survivors.append(p)
    }
    while !survivors.isEmpty {
      do {
        return try journal.keep(try triplets(of: survivors, work), nil)
      } catch {
        try work.check()
        var lost: [Int] = []
        for p in survivors {
          guard let loss = try loss(of: loaded.prompts[p].input, resolved[p], in: model)
          else { continue }
          try journal.keep(LostPrompt(loss), p)
          lost.append(p)
        }
        // The states of every prompt are finite, but the sum of their maps is not.
        guard !lost.isEmpty else { throw error }
        survivors.removeAll(where: lost.contains)
      }
    }
  }

  /// The triplets of a prompt's map, or of the average of several, with the record before any read-out.
  private func triplets(
    of prompts: [Int], _ work: UnitWork<MapManifest>
  ) throws -> (triplets: SingularTriplets, record: MapRecord) {
    try problem.solve(
      prompts,
      MapProblem.Task(
        solution(work.folder.manifest), count: count, seed: settings.seed,
        isCancelled: { work.isCancelled }))
  }

  /// Where the states of a prompt stop being finite before the end of the map; nil if they are all finite.
  private func loss(
    of input: ModelInput, _ map: ResolvedMap, in model: some Transformer
  ) throws -> PromptLoss? {
    settings.precision == .double
      ? try Self.loss(of: input, map, in: model, as: Double.self)
      : try Self.loss(of: input, map, in: model, as: Float.self)
  }

  private static func loss<Scalar: RealScalar>(
    of input: ModelInput, _ map: ResolvedMap, in model: some Transformer, as precision: Scalar.Type
  ) throws -> PromptLoss? {
    var losses: [PromptLoss] = []
    var states = try HiddenStates<Scalar>(inputs: [input], in: model, losing: &losses)
    for _ in 0..<map.lastBlock where losses.isEmpty {
      _ = states.advance(through: model, losing: &losses)
    }
    return losses.first
  }

  // MARK: Memory

  /// Throws `RunError.badSetting` if the solve of the longest prompt, or of the average, would exceed a memory limit.
  private func checkMemory(_ limit: Int, _ solution: MapSolution) throws {
    let lengths = loaded.lengths
    let longest = lengths.indices.max { lengths[$0] < lengths[$1] } ?? 0
    let map = resolved[longest]
    let linearization = try problem.linearized(
      settings.average ? Array(resolved.indices) : [longest], as: Float.self)
    let cost = problem.cost(map, solution, count)
    let blocks = (0..<map.lastBlock).reduce(0) { $0 + loaded.model.bytes(ofBlock: $1) }
    let parts = [
      ("the program, the model's values and the linearization", MemoryMeter.privateBytes),
      ("products", linearization.workspaceBytes(vectors: cost.widest)),
      ("the solver's bases", cost.basisBytes), ("weights", blocks),
    ]
    let needed = parts.reduce(0) { $0 + $1.1 }
    guard needed > limit else { return }
    throw RunError.badSetting(
      .maxMemory, value: spokenBytes(limit),
      reason: "the run is predicted to need \(spokenBytes(needed)), the largest part for "
        + "\(parts.max { $0.1 < $1.1 }?.0 ?? "weights"); allow more, lower \(.top), or name fewer tokens"
    )
  }

  // MARK: Results

  private func record(_ journal: MapJournal, _ manifest: MapManifest) throws -> MapRunRecord {
    var record = try MapRunRecord(manifest, journal, isComplete: true)
    for p in record.prompts.indices where record.prompts[p].entry.failed == nil {
      if settings.average {
        record.prompts[p].fromTokens = resolved[p].fromTokens
        record.prompts[p].toTokens = resolved[p].toTokens
      } else {
        record.prompts[p].map = try mapRecord(journal, p)
      }
    }
    if settings.average, record.failures.count < record.prompts.count {
      record.average = try mapRecord(journal, nil)
    }
    return record
  }

  private func mapRecord(_ journal: MapJournal, _ p: Int?) throws -> MapRecord {
    var (triplets, record) = try journal.triplets(p)
    record.readOut = reader.map {
      ReadOut(ReadMap(record), left: triplets.leftVectors, right: triplets.rightVectors, by: $0)
    }
    return record
  }
}
