import Autodiff
import Checkpoint
import Foundation
import LinearAlgebra
import Model
import Processes
import TestSupport
import Testing

@testable import Analysis

/// What a run records about its precision, against runs and references in double precision.
struct ComputedPrecisionTests {
  private static let prompts = [[5, 3, 9, 7], [1, 2, 3, 4, 5, 6], [8, 8]]

  /// The reference values of a committed checkpoint of any family.
  private struct Expectation: Decodable {
    let tokenIds: [Int]
    let encoderTokenIds: [Int]?
    let pixelValues: [[[Float]]]?
    let sigmaLast: [[Double]]

    init(_ folder: String) throws {
      let decoder = JSONDecoder()
      decoder.keyDecodingStrategy = .convertFromSnakeCase
      self = try decoder.decode(
        Self.self, from: Data(contentsOf: URL(fileURLWithPath: "\(folder)/expected.json")))
    }

    var input: ModelInput {
      if let encoderTokenIds { return .decoder(tokenIds, encoder: encoderTokenIds) }
      guard let pixels = pixelValues else { return .tokens(tokenIds) }
      return .image(
        PixelValues(
          channels: pixels.count, height: pixels[0].count, width: pixels[0][0].count,
          values: Array(pixels.joined().joined())))
    }
  }

  /// Every committed checkpoint's folder.
  private static let folders: [String] = {
    let root = ModelFixture.path("ModelTests/Fixtures")
    return ((try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []).sorted()
      .map { "\(root)/\($0)" }
      .filter { FileManager.default.fileExists(atPath: "\($0)/expected.json") }
  }()

  private static func solved(
    _ model: some Transformer, _ inputs: [ModelInput],
    _ change: (inout RunSettings) -> Void = { _ in }
  ) throws -> [SolvedBlock] {
    var settings = RunSettings(model: "m", name: "m", threads: 1)
    (settings.top, settings.ranks) = (4, [4])
    change(&settings)
    let d = model.description
    let resolved = try ResolvedSettings(
      settings, d, promptLengths: inputs.map { d.tokenCount(of: $0) })
    let group = PromptGroup.groups(resolved.selections)[0]
    let forward = try SolvePass(
      model, inputs, group, GroupShare(AloneSharing(), group), resolved: resolved,
      journal: MemoryJournal(), saveHiddenStates: false, decode: { _ in nil }
    ) { _, _ in }
    return try forward.solved.map { try #require($0) }
  }

  /// Values in double precision are those of another implementation; in `auto` they converge where single precision ends
  /// above the tolerance, and are off by no more than residual norm and noise (Weyl). 10⁻⁹ as in ReferenceTests.
  @Test(arguments: folders) func everyFamily(_ folder: String) throws {
    let model = try loadTransformer(CheckpointDirectory(opening: folder))
    let expected = try Expectation(folder)
    let input = expected.input
    for precision in [PrecisionMode.double, .auto] {
      let blocks = try Self.solved(model, [input]) {
        ($0.precision, $0.tolerance) = (precision, precision == .double ? 1e-11 : 1e-8)
      }
      for (block, sigma) in zip(blocks, expected.sigmaLast) {
        let found = try #require(block.triplets[0])
        #expect(found.report.isConverged, "\(precision)")
        let measured = block.precisions[0]
        if precision == .double { #expect(measured == .double) }
        let noise = try #require(block.noise.of(0, measured, margin: 1))
        if measured == .double, precision == .auto { #expect(block.noise.single != nil) }
        for (i, (s, wanted)) in zip(found.singularValues, sigma).enumerated() {
          let bound =
            precision == .double
            ? 1e-9 * sigma[0]
            : found.residualNorms[i] + (noise.products + 1e-9) * sigma[0]
          #expect(abs(s - wanted) <= bound, "\(precision), σ \(i)")
        }
      }
    }
  }

  /// The noise is that of the whole difference on the found vectors: no smaller than on any of them, and no larger than the
  /// stated factor times its norm. Sums of a materialized Jacobian have the order of another number of vectors, which is
  /// rounding too: twice as much is allowed.
  @Test(arguments: ModelFixture.all) func noise(_ fixture: ModelFixture) throws {
    let model = try loadTransformer(CheckpointDirectory(opening: fixture.folder))
    let blocks = try Self.solved(model, Self.prompts.map { .tokens($0) })
    var single = try HiddenStates<Float>(Self.prompts, in: model)
    var double = try HiddenStates<Double>(Self.prompts, in: model)
    for block in blocks {
      let at = [(2, TokenSelection(1))]
      let applied = residualJacobian(model, at: try single.advance(through: model), at)
      let meant = residualJacobian(model, at: try double.advance(through: model), at)
      let noise = try #require(block.noise.single)
      let found = try #require(block.triplets[2])
      let difference = applied.materialized() - meant.materialized()
      let norm = try difference.singularValueDecomposition().values[0]
      let images = Matrix.product(found.rightVectors, .none, difference, .transposed)
      let largest = (0..<images.rows).map { i in
        images.row(i).reduce(0) { $0 + $1 * $1 }.squareRoot()
      }
      let scale = found.singularValues[0]
      #expect(noise.products * scale <= 2 * OperatorNoise.safetyFactor * norm)
      #expect(largest.allSatisfy { $0 <= noise.products * scale })
      #expect(noise.entries <= noise.products)
    }
  }

  /// Single precision ends above a tolerance that `auto` reaches; the remaining noise is smaller; single precision is
  /// unchanged.
  @Test func autoGoesOnWhereSingleStops() throws {
    let model = try loadTransformer(CheckpointDirectory(opening: ModelFixture("llama").folder))
    let inputs = Self.prompts.map { ModelInput.tokens($0) }
    let solved = try [PrecisionMode.single, .auto, .double].map { precision in
      try Self.solved(model, inputs) {
        ($0.precision, $0.tolerance, $0.solver) = (precision, 1e-8, .block)
      }
    }
    // Each prompt's own noise: in a group it is that of the shortest one, whose rounding has another value.
    let alone = try inputs.map { input in
      try Self.solved(model, [input]) {
        ($0.precision, $0.tolerance, $0.solver) = (.auto, 1e-8, .block)
      }
    }
    for l in solved[0].indices {
      let (single, auto, double) = (solved[0][l], solved[1][l], solved[2][l])
      #expect(single.noise.single == auto.noise.single && single.noise.double == nil)
      let left = try #require(auto.noise.double)
      let before = try #require(auto.noise.single)
      #expect(left.products <= 2 * before.products)
      let least = try #require(double.noise.double)
      #expect(least.products < 1e-13)
      for p in Self.prompts.indices {
        let stopped = try #require(single.triplets[p])
        guard case .stopped(let stop) = stopped.report.outcome else {
          Issue.record("single precision reaches 10⁻⁸")
          continue
        }
        #expect(stop.reason == .rounding && single.precisions[p] == .single)
        let found = try #require(auto.triplets[p])
        #expect(found.report.isConverged && auto.precisions[p] == .double)
        #expect(found.report.applications.passes > stopped.report.applications.passes)
        let exact = try #require(double.triplets[p])
        let own = try #require(alone[p][l].noise.double)
        for (a, b) in zip(found.singularValues, exact.singularValues) {
          // |σ(Ã) − σ(A)| ≤ ‖E v‖, and both runs end within the tolerance.
          #expect(abs(a - b) <= (2e-8 + own.products) * exact.singularValues[0])
        }
      }
    }
  }

  /// For a prompt longer than the sample may be, its first tokens go through in both precisions. Their noise has the size of a
  /// whole prompt's, since it is the rounding of the same products.
  @Test func longPromptsAreCut() throws {
    let model = try loadTransformer(CheckpointDirectory(opening: ModelFixture("llama").folder))
    let inputs = [ModelInput.tokens([5, 3, 9, 7, 1, 2, 3, 4])]
    var settings = RunSettings(model: "m", name: "m", threads: 1)
    (settings.top, settings.ranks) = (4, [4])
    let resolved = try ResolvedSettings(settings, model.description, promptLengths: [8])
    let group = PromptGroup.groups(resolved.selections)[0]
    var single = try HiddenStates<Float>(inputs: inputs, in: model)
    var (whole, cut) = (
      try NoiseSample<Float, Double>(model, inputs, group),
      try NoiseSample<Float, Double>(model, inputs, group, limit: 3)
    )
    let blocks = try Self.solved(model, inputs)
    for (l, block) in blocks.enumerated() {
      let point = try single.advance(through: model)
      let applied = residualJacobian(model, at: point, [(0, resolved.selections[0][0])])
      // As the run has them, with all triplets beyond the requested ones.
      let found = try resolved.solver.solver(
        tolerance: resolved.tolerance, seed: resolved.seed, certify: resolved.certify
      ).partialSVD(of: applied, count: resolved.top)
      let steps = [whole?.advance(through: model), cut?.advance(through: model)]
      let noises = try steps.map { step in
        let place = try #require(step).place(beside: point)
        let comparison = try #require(
          place.comparison(applied, found, found.products, resolved, layer: l + 1))
        let left = try #require(comparison.ofPoint())
        // Rounding of the products and of the point may have opposite signs.
        #expect(left.products <= 2 * comparison.noise.products)
        return comparison.noise
      }
      #expect(noises[0] == block.noise.single)
      #expect(noises[1].products < 30 * noises[0].products)
      #expect(noises[0].products < 30 * noises[1].products)
    }
  }

  /// A resumed run equals an uninterrupted one, in either precision and with blocks continued in double precision.
  @Test(arguments: [PrecisionMode.auto, .double]) func stoppedRuns(_ precision: PrecisionMode)
    throws
  {
    let scratch = try ScratchFolder()
    var settings = RunSettings(model: ModelFixture("llama").folder, name: "m", threads: 1)
    (settings.top, settings.ranks, settings.saveHiddenStates) = (4, [4], true)
    // Between what the blocks of this model reach in single precision and what they do not.
    (settings.precision, settings.tolerance, settings.solver) = (precision, 1e-8, .block)
    let run = try AlignmentRun(settings, prompts: Self.prompts.map { .tokens($0) })
    func finish(_ path: String) throws -> [String: Data] {
      let folder = try RunFolder(path, for: try run.manifest())
      try folder.finish(try run.run(in: folder, meter: MemoryMeter()))
      var files: [String: Data] = [:]
      for name in try FileManager.default.contentsOfDirectory(atPath: path)
      where name != "result.json" {
        files[name] = try Data(contentsOf: URL(fileURLWithPath: "\(path)/\(name)"))
      }
      return files
    }
    let whole = try finish(scratch["whole"])
    let layers = try StoredRun(scratch["whole"]).record.prompts.map(\.layers)
    #expect(
      layers.joined().allSatisfy { $0.precision == .double && $0.noise != nil && $0.converged })
    for limit in stride(from: 2, through: 16, by: 3) {
      let path = scratch["after-\(limit)"]
      let folder = try RunFolder(path, for: try run.manifest())
      #expect(throws: RunError.interrupted(resume: path)) {
        try run.run(in: folder, progress: UnitLimit(limit), meter: MemoryMeter())
      }
      folder.release()
      #expect(try finish(path) == whole)
      let again = try StoredRun(path).record.prompts.map(\.layers)
      for (a, b) in zip(again.joined(), layers.joined()) {
        #expect(a.noise == b.noise && a.residualNorms == b.residualNorms)
      }
    }
  }

  /// A model that overflows single precision fails in it; in double it does not. Its noise is unknown or, where single
  /// precision is wrong without a sign of it, 2⁻²⁹ of all of it.
  @Test func whatOverflowsInOnePrecision() throws {
    let edited = try FailedPromptTests.EditedModel("model.embed_tokens.weight", row: 25, 1e38)
    let model = try loadTransformer(CheckpointDirectory(opening: edited.folder))
    let blocks = try Self.solved(model, [.tokens([3, 25])]) { $0.precision = .double }
    for block in blocks {
      let found = try #require(block.triplets[0])
      #expect(found.report.isConverged)
      #expect((block.noise.double?.products ?? 0) < 1e-8)
    }
  }
}
