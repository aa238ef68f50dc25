import Autodiff
import Checkpoint
import Files
import Lanczos
import LinearAlgebra
import Model
import Weights

/// A run of `triplets`: a model, prompts and a map in, the map's singular triplets out.
package struct MapRun {
  /// What is run.
  package let settings: MapSettings
  /// What the user should know of the model's folder and the prompts, one line each.
  package var notes: [String] { loaded.notes }
  private let loaded: LoadedModel
  private let map: JacobianMap
  /// Triplets of each map.
  private let count: Int
  /// The map on every prompt.
  private let resolved: [ResolvedMap]
  private let reader: VectorReader?

  /// The folder of such a run.
  package typealias Folder = ResultFolder<MapManifest>

  /// Opens the model, tokenizes the prompts and checks every option against both, before any work is done.
  ///
  /// Throws `FileError`, `ModelError`, `RunError`.
  package init(_ requested: MapSettings, prompts inputs: [PromptInput]) throws {
    let loaded = try LoadedModel(requested.common, prompts: inputs)
    self.loaded = loaded
    let (labels, description) = (loaded.labels, loaded.model.description)
    let map = try requested.map.map(in: description.layers)
    self.map = map
    resolved = try zip(loaded.lengths, labels).map { length, label throws(RunError) in
      do throws(MapError) {
        return try ResolvedMap(map, of: description, tokens: length)
      } catch {
        throw RunError(error, requested.map, label)
      }
    }
    do throws(MapError) {
      try loaded.engine.use { () throws(MapError) in try map.check(loaded.model) }
    } catch {
      throw RunError(error, requested.map, labels[0])
    }
    guard requested.tolerance > 0, requested.tolerance < 1 else {
      throw RunError.badSetting(
        .tolerance, value: "\(requested.tolerance)", reason: "must lie between 0 and 1")
    }
    do { try requested.certify.check() } catch {
      throw RunError.badSetting(
        .certify, value: "\(requested.certify)", reason: "must lie between 0 and 1")
    }
    count = try Self.count(requested, resolved, labels)
    var settings = requested
    settings.top = count
    self.settings = settings
    reader = try settings.readOut.map { number throws(RunError) in
      try VectorReader(loaded, count: number)
    }
  }

  /// How many triplets of each map. Throws `RunError.badSetting`, for maps that have no average too.
  private static func count(
    _ settings: MapSettings, _ maps: [ResolvedMap], _ labels: [PromptLabel]
  ) throws(RunError) -> Int {
    let shape = { (map: ResolvedMap) in "\(map.outputDimension) × \(map.inputDimension)" }
    let first = maps[0]
    for (map, label) in zip(maps, labels) {
      let limit = min(map.inputDimension, map.outputDimension)
      if let top = settings.top, !(1...limit).contains(top) {
        throw .badSetting(
          .top, value: "\(top)",
          reason:
            "must be from 1 to \(limit), the smaller side of a map of \(shape(map)) (\(label))")
      }
      if settings.average,
        map.inputShape != first.inputShape || map.outputShape != first.outputShape
      {
        throw .badSetting(
          .average,
          reason:
            "needs maps of one shape, and that of \(label) is \(shape(map)), that of \(labels[0]) "
            + "\(shape(first)); name as many tokens in every prompt, or add them up with \(.reduce) and \(.tied)"
        )
      }
    }
    return settings.top ?? maps.reduce(10) { min($0, $1.inputDimension, $1.outputDimension) }
  }

  /// What decides the run's numbers. Reads the weights once. Throws `FileError`.
  package func manifest() throws -> MapManifest {
    MapManifest(
      krylens: krylensVersion, model: try loaded.record(), settings: settings,
      prompts: entries, computedWith: [ProcessorRecord(loaded.engine)])
  }

  private var entries: [PromptEntry] { loaded.prompts.map { PromptEntry($0, in: loaded) } }

  /// Runs it in a folder, where it goes on from what is finished there, and writes the results.
  ///
  /// A solve that did not converge is a result, and so is a prompt that failed: its record says why. Throws
  /// `RunError.allFailed` if there is no other, what a model that changes under the run throws, `RunError.interrupted`, and
  /// `cannotRead`, `cannotWrite`, `lostUnit` of what is kept.
  package func run(
    in folder: Folder, progress: (any RunProgress)? = nil, meter: MemoryMeter
  ) throws -> MapRunRecord {
    let start = monotonicSeconds()
    let model = loaded.model
    let journal = MapJournal(folder.units) { try model.source.checkIntact() }
    if let limit = settings.maxMemory { try loaded.engine.use { try checkMemory(limit) } }
    let total = settings.average ? 1 : loaded.prompts.count
    var done = ProgressCount(solving: (total, 1), coupling: (0, 1))
    let step = { (isNew: Bool) throws in
      progress?.update(done.add(1, to: .solving, computed: isNew))
      try checkInterrupt(progress, folder)
    }
    try loaded.engine.use {
      if settings.average {
        let isNew = try solveAverage(model, journal, progress, folder)
        try step(isNew)
      } else {
        for p in loaded.prompts.indices {
          let isNew = try !journal.isKnown(p)
          if isNew { try solve(p, model, journal, progress, folder) }
          try step(isNew)
        }
      }
    }
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

  private func checkInterrupt(_ progress: (any RunProgress)?, _ folder: Folder) throws {
    guard progress?.isCancelled == true else { return }
    throw RunError.interrupted(resume: folder.keepsWork ? folder.path : nil)
  }

  // MARK: Solving

  private func solve(
    _ p: Int, _ model: some Transformer, _ journal: MapJournal, _ progress: (any RunProgress)?,
    _ folder: Folder
  ) throws {
    do {
      try journal.keep(try triplets(of: [p], progress), p)
    } catch {
      try checkInterrupt(progress, folder)
      let lost =
        try loss(of: loaded.prompts[p].input, resolved[p], in: model).map { LostPrompt($0) }
        ?? LostPrompt(
          .solving, layer: resolved[p].lastBlock, TokenSelection(resolved[p].toTokens.last ?? 0),
          reason: failureReason(error))
      try journal.keep(lost, p)
    }
  }

  /// The average over all prompts but those that fail; false if it was known.
  private func solveAverage(
    _ model: some Transformer, _ journal: MapJournal, _ progress: (any RunProgress)?,
    _ folder: Folder
  ) throws -> Bool {
    guard try !journal.isKnown(nil) else { return false }
    var survivors: [Int] = []
    for p in loaded.prompts.indices where try journal.failure(p) == nil { survivors.append(p) }
    while !survivors.isEmpty {
      do {
        try journal.keep(try triplets(of: survivors, progress), nil)
        return true
      } catch {
        try checkInterrupt(progress, folder)
        var lost: [Int] = []
        for p in survivors {
          guard let loss = try loss(of: loaded.prompts[p].input, resolved[p], in: model)
          else { continue }
          try journal.keep(LostPrompt(loss), p)
          lost.append(p)
        }
        // Not the states of any prompt: the sum of their maps.
        guard !lost.isEmpty else { throw error }
        survivors.removeAll(where: lost.contains)
      }
    }
    return true
  }

  /// Of a prompt's map, or of the average of several, with the record that has no read-out yet.
  private func triplets(
    of prompts: [Int], _ progress: (any RunProgress)?
  ) throws -> (triplets: SingularTriplets, record: MapRecord) {
    let start = monotonicSeconds()
    defer { returnFreedMemory() }
    let found =
      settings.precision == .double
      ? try solved(prompts, progress, as: Double.self, twin: Float.self)
      : try solved(prompts, progress, as: Float.self, twin: Double.self)
    let record = MapRecord(
      settings.map, resolved[prompts[0]], fromTokens: common(prompts, \.fromTokens),
      toTokens: common(prompts, \.toTokens), found, seconds: monotonicSeconds() - start)
    return (found.triplets, record)
  }

  /// Solved in one precision, and held against the map in the other: its noise is known where that costs little, and where
  /// rounding stops a solve in single precision it goes on in double.
  private func solved<Scalar: RealScalar, Twin: RealScalar>(
    _ prompts: [Int], _ progress: (any RunProgress)?, as precision: Scalar.Type, twin: Twin.Type
  ) throws -> SolvedMap {
    let inputs = prompts.map { loaded.prompts[$0].input }
    let watched = { (map: any LinearOperator) in
      CancellableOperator(map) { progress?.isCancelled == true }
    }
    let applied = watched(try linearize(map, of: inputs, in: loaded.model, as: Scalar.self))
    let solver = kind(resolved[prompts[0]]).solver(
      tolerance: settings.tolerance, seed: settings.seed, certify: settings.certify)
    let found = try solver.partialSVD(of: applied, count: count)
    let isSingle = Scalar.self == Float.self
    var solved = SolvedMap(
      triplets: found, precision: isSingle ? .single : .double, noise: nil)
    let goesOn = { (noise: OperatorNoise?) in
      isSingle && settings.precision == .auto
        && found.isRounded(noise, tolerance: settings.tolerance)
    }
    let tokens = prompts.reduce(0) { $0 + loaded.lengths[$1] }
    guard tokens <= NoiseComparison.tokens || goesOn(nil),
      let twin = try? linearize(map, of: inputs, in: loaded.model, as: Twin.self)
    else { return solved }
    let meant = watched(twin)
    let noise = try? OperatorNoise(
      of: applied, against: meant, triplets: found, seed: settings.seed)
    // Not a noise that is not known, but a run that is to go on later.
    if noise == nil, progress?.isCancelled == true { throw CancellationError() }
    solved.noise = isSingle ? noise : noise?.scaled(by: NoiseComparison.doubleShare)
    if goesOn(noise) {
      solved.triplets = try TripletRefinement(tolerance: settings.tolerance, seed: settings.seed)
        .refined(found, by: meant, noise: noise)
      solved.precision = .double
      solved.noise = noise?.scaled(by: NoiseComparison.doubleShare)
    }
    return solved
  }

  /// The solver that answers.
  private func kind(_ map: ResolvedMap) -> SolverKind {
    settings.solver.chosen(
      for: count, width: min(map.inputDimension, map.outputDimension))
  }

  /// Where the states of a prompt stop being finite before the map's end; nil if they do not.
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

  /// Throws `RunError.badSetting` if the longest prompt's solve, or the average's, would exceed a limit.
  private func checkMemory(_ limit: Int) throws {
    let lengths = loaded.lengths
    let longest = lengths.indices.max { lengths[$0] < lengths[$1] } ?? 0
    let inputs =
      settings.average ? loaded.prompts.map(\.input) : [loaded.prompts[longest].input]
    let map = resolved[longest]
    let linearization = try linearize(self.map, of: inputs, in: loaded.model, as: Float.self)
    let cost = SolverCost(
      kind(map), rows: map.outputDimension, columns: map.inputDimension, count: count,
      certify: settings.certify)
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
      reason: "the run is predicted to need \(spokenBytes(needed)), the most for "
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

  /// The tokens that some prompts have in common: counted from the start, or else from the end, negative; nil if they differ
  /// either way.
  private func common(_ prompts: [Int], _ tokens: KeyPath<ResolvedMap, [Int]>) -> [Int]? {
    let lengths = loaded.lengths
    let fromStart = prompts.map { resolved[$0][keyPath: tokens] }
    let fromEnd = prompts.map { p in resolved[p][keyPath: tokens].map { $0 - lengths[p] } }
    return [fromStart, fromEnd].first { Set($0).count == 1 }?.first
  }
}

extension ResolvedMap {
  /// Numbers of an input and of an output.
  var inputDimension: Int { inputShape.rows * inputShape.columns }
  var outputDimension: Int { outputShape.rows * outputShape.columns }
}
