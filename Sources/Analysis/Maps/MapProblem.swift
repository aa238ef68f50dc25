import Autodiff
import Files
import Lanczos
import LinearAlgebra
import Model

/// A map to linearize and solve, checked against an open model and its prompts.
package struct MapProblem: Sendable {
  /// The model and the prompts.
  package let loaded: LoadedModel
  /// The map as requested.
  package let selection: MapSelection
  /// The map resolved for each prompt.
  package let resolved: [ResolvedMap]
  let map: JacobianMap

  /// Resolves a map. Throws `RunError.badSetting` for a map that the model does not have on one of the prompts, or that cannot be
  /// averaged.
  package init(_ selection: MapSelection, of loaded: LoadedModel) throws(RunError) {
    let (labels, description) = (loaded.labels, loaded.model.description)
    let map = try selection.map(in: description.layers)
    var resolved: [ResolvedMap] = []
    for (length, label) in zip(loaded.lengths, labels) {
      do throws(MapError) {
        resolved.append(try ResolvedMap(map, of: description, tokens: length))
      } catch {
        throw RunError(error, selection, label)
      }
    }
    do throws(MapError) {
      try loaded.engine.use { () throws(MapError) in try map.check(loaded.model) }
    } catch {
      throw RunError(error, selection, labels[0])
    }
    (self.loaded, self.selection, self.map, self.resolved) = (loaded, selection, map, resolved)
    try checkShapes()
  }

  /// Throws unless the maps can be averaged, if that is requested, and their sides fit BLAS's integers.
  private func checkShapes() throws(RunError) {
    let (first, labels) = (resolved[0], loaded.labels)
    for (map, label) in zip(resolved, labels) {
      if max(map.inputDimension, map.outputDimension) > Int(Int32.max) {
        throw .badSetting(
          map.inputDimension > map.outputDimension ? .fromToken : .toToken,
          reason:
            "the map would be \(map.shape), but no side can be longer than \(Int32.max); name "
            + "fewer tokens (\(label))")
      }
      guard selection.average else { continue }
      guard map.inputShape == first.inputShape, map.outputShape == first.outputShape else {
        throw .badSetting(
          .average,
          reason:
            "needs maps of one shape, but that of \(label) is \(map.shape) and that of \(labels[0]) "
            + "\(first.shape); name the same number of tokens in every prompt, or combine them with \(.reduce) and \(.tied)"
        )
      }
    }
  }

  /// The number of triplets per map. Throws `RunError.badSetting` for settings that fit no map, or if the bases exceed this
  /// machine's memory.
  package func count(_ solution: MapSolution) throws(RunError) -> Int {
    try solution.solver.check(for: loaded.model.team)
    guard solution.tolerance > 0, solution.tolerance < 1 else {
      throw .badSetting(
        .tolerance, value: "\(solution.tolerance)", reason: "must lie between 0 and 1")
    }
    try solution.solver.check(blockSize: solution.blockSize)
    do { try solution.certify.check() } catch {
      throw .badSetting(.certify, value: "\(solution.certify)", reason: "must lie between 0 and 1")
    }
    for (map, label) in zip(resolved, loaded.labels) {
      let limit = min(map.inputDimension, map.outputDimension)
      if let top = solution.top, !(1...limit).contains(top) {
        throw .badSetting(
          .top, value: "\(top)",
          reason:
            "must be from 1 to \(limit), the smaller side of a map of \(map.shape) (\(label))")
      }
    }
    let count =
      solution.top ?? resolved.reduce(10) { min($0, $1.inputDimension, $1.outputDimension) }
    for (map, label) in zip(resolved, loaded.labels) {
      let needed = cost(map, solution, count).basisBytes
      if needed > MemoryMeter.physicalBytes {
        throw .badSetting(
          .top, value: "\(count)",
          reason:
            "the bases of a map of \(map.shape) would need \(spokenBytes(needed)), but this machine "
            + "has \(spokenBytes(MemoryMeter.physicalBytes)); lower it, name fewer tokens, or choose "
            + "another \(.solver) (\(label))")
      }
    }
    return count
  }

  /// The cost of finding `count` triplets.
  package func cost(_ map: ResolvedMap, _ solution: MapSolution, _ count: Int) -> SolverCost {
    SolverCost(
      kind(map, solution, count), rows: map.outputDimension, columns: map.inputDimension,
      count: count, certify: solution.certify, blockSize: solution.blockSize)
  }

  /// The solution with the block size decided for this machine, unless it is given, or left to the solver.
  ///
  /// The machine decides for maps of whole blocks between single tokens; products of several tokens apply many vectors anyway.
  package func decided(_ solution: MapSolution, _ count: Int) -> MapSolution {
    var decided = solution
    let isDecided = resolved.allSatisfy {
      kind($0, solution, count) == .block && $0.inputShape.rows == 1 && $0.outputShape.rows == 1
    }
    let isWhole =
      selection.partSite == .block && selection.head == nil && selection.expert == nil
    if solution.blockSize == nil, isDecided, isWhole {
      decided.blockSize = loaded.blockSize(for: count, precision: solution.precision)
    }
    return decided
  }

  /// The solver that is used.
  private func kind(_ map: ResolvedMap, _ solution: MapSolution, _ count: Int) -> SolverKind {
    solution.solver.chosen(
      for: count, width: min(map.inputDimension, map.outputDimension),
      sharesVectors: loaded.model.team != nil)
  }

  /// The map of one prompt, or the average over several. Throws `MapError`, `ModelError`.
  package func linearized<Scalar: RealScalar>(
    _ prompts: [Int], as precision: Scalar.Type
  ) throws -> Linearization<Scalar> {
    try linearize(
      map, of: prompts.map { loaded.prompts[$0].input }, in: loaded.model, as: Scalar.self)
  }

  /// How a map is solved: for how many triplets, from which start, and when to stop.
  package struct Task {
    /// The solver's settings.
    package var solution: MapSolution
    /// The number of triplets.
    package var count: Int
    /// The seed of start vectors and probes.
    package var seed: UInt64
    /// Called before every pass over the weights; the solve ends with an error once it returns true.
    ///
    /// In a team all members call it, and it must return the same in each.
    package var isCancelled: () -> Bool

    /// The task of finding `count` triplets.
    package init(
      _ solution: MapSolution, count: Int, seed: UInt64, isCancelled: @escaping () -> Bool
    ) {
      (self.solution, self.count, self.seed) = (solution, count, seed)
      self.isCancelled = isCancelled
    }
  }

  /// The triplets of a prompt's map, or of the average over several, with the record that has no read-out yet.
  ///
  /// `known` are existing linearizations, used in place of new ones of their precision.
  package func solve(
    _ prompts: [Int], _ task: Task, known: (any LinearOperator)? = nil
  ) throws -> (triplets: SingularTriplets, record: MapRecord) {
    let start = monotonicSeconds()
    defer { returnFreedMemory() }
    let found =
      task.solution.precision == .double
      ? try solved(prompts, task, known, as: Double.self, twin: Float.self)
      : try solved(prompts, task, known, as: Float.self, twin: Double.self)
    let record = MapRecord(
      selection, resolved[prompts[0]], fromTokens: common(prompts, \.fromTokens),
      toTokens: common(prompts, \.toTokens), found, seconds: monotonicSeconds() - start)
    return (found.triplets, record)
  }

  /// Solves in one precision and compares with the map in the other: the noise is measured where that costs little, and a
  /// solve in single precision that rounding stops is continued in double.
  private func solved<Scalar: RealScalar, Twin: RealScalar>(
    _ prompts: [Int], _ task: Task, _ known: (any LinearOperator)?, as precision: Scalar.Type,
    twin: Twin.Type
  ) throws -> SolvedMap {
    let solution = task.solution
    let watched = { CancellableOperator($0, isCancelled: task.isCancelled) }
    let applied = watched(
      try known as? Linearization<Scalar> ?? linearized(prompts, as: Scalar.self))
    let solver = kind(resolved[prompts[0]], solution, task.count).solver(
      tolerance: solution.tolerance, seed: task.seed, blockSize: solution.blockSize,
      certify: solution.certify)
    let team = loaded.model.team
    let found = try solver.partialSVD(of: divided(applied, over: team), count: task.count)
    let isSingle = Scalar.self == Float.self
    var solved = SolvedMap(
      triplets: found, precision: isSingle ? .single : .double, noise: nil)
    let goesOn = { (noise: OperatorNoise?) in
      isSingle && solution.precision == .auto
        && found.isRounded(noise, tolerance: solution.tolerance)
    }
    let tokens = prompts.reduce(0) { $0 + loaded.lengths[$1] }
    guard tokens <= NoiseComparison.tokens || goesOn(nil),
      let twin = try? known as? Linearization<Twin> ?? linearized(prompts, as: Twin.self)
    else { return solved }
    let meant = watched(twin)
    let noise = try? OperatorNoise(
      of: applied, against: meant, triplets: found, seed: task.seed)
    // An interrupt must not be recorded as unknown noise: the run will be resumed.
    if noise == nil, task.isCancelled() { throw CancellationError() }
    solved.noise = isSingle ? noise : noise?.scaled(by: NoiseComparison.doubleShare)
    if goesOn(noise) {
      solved.triplets = try TripletRefinement(tolerance: solution.tolerance, seed: task.seed)
        .refined(found, by: divided(meant, over: team), noise: noise)
      solved.precision = .double
      solved.noise = noise?.scaled(by: NoiseComparison.doubleShare)
    }
    return solved
  }

  /// The tokens that some prompts have in common, counted from the start, or else from the end, negative; nil if they differ
  /// either way.
  package func common(_ prompts: [Int], _ tokens: KeyPath<ResolvedMap, [Int]>) -> [Int]? {
    let lengths = loaded.lengths
    let fromStart = prompts.map { resolved[$0][keyPath: tokens] }
    let fromEnd = prompts.map { p in resolved[p][keyPath: tokens].map { $0 - lengths[p] } }
    return [fromStart, fromEnd].first { Set($0).count == 1 }?.first
  }
}

extension ResolvedMap {
  /// The number of entries of an input.
  package var inputDimension: Int { inputShape.rows * inputShape.columns }
  /// The number of entries of an output.
  package var outputDimension: Int { outputShape.rows * outputShape.columns }
  /// The shape, outputs × inputs, for messages.
  fileprivate var shape: String { "\(outputDimension) × \(inputDimension)" }
}
