import Autodiff
import Checkpoint
import Foundation
import LinearAlgebra
import Model
import TestSupport
import Testing

@testable import Analysis

/// Runs of `triplets`: what is found, what is kept, and what is refused.
struct MapRunTests {
  private static let prompts = [[1, 5, 7, 3], [2, 5, 7], [9, 8, 4, 2, 30]]

  private func run(
    _ model: String = ModelFixture("llama").folder, _ prompts: [[Int]] = Self.prompts,
    _ change: (inout MapSettings) -> Void = { _ in }
  ) throws -> MapRun {
    var settings = MapSettings(ModelSettings(model: model, name: "m", threads: 1))
    settings.solution.top = 4
    change(&settings)
    return try MapRun(settings, prompts: prompts.map { .tokens($0) })
  }

  @discardableResult
  private func record(
    _ run: MapRun, in path: String, progress: (any RunProgress)? = nil
  ) throws -> MapRunRecord {
    let folder = try MapRun.Folder(path, for: try run.manifest())
    return try #require(try run.run(in: folder, progress: progress, meter: MemoryMeter()))
  }

  /// The record without times and memory.
  private func contents(_ folder: String) throws -> [String: Data] {
    var files: [String: Data] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
      files[name] = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)"))
    }
    var record = try MapRunRecord(folder: folder)
    record.head.seconds = RecordSeconds()
    (record.head.peakMemoryBytes, record.head.peakPrivateBytes) = (0, 0)
    for p in record.prompts.indices { record.prompts[p].map?.seconds = 0 }
    files["result.json"] = try recordJSON(record)
    return files
  }

  // MARK: What is found

  /// Without options the map is the last block's residual Jacobian at the last token.
  @Test func theDefaultIsTheLastBlock() throws {
    let scratch = try ScratchFolder()
    let found = try record(run(), in: scratch["maps"])
    var settings = RunSettings(model: ModelFixture("llama").folder, name: "m", threads: 1)
    (settings.top, settings.ranks, settings.layers) = (4, [4], [3])
    let blocks = try AlignmentRun(settings, prompts: Self.prompts.map { .tokens($0) })
      .run(meter: MemoryMeter()).record
    for (prompt, wanted) in zip(found.prompts, blocks.prompts) {
      let (map, layer) = (try #require(prompt.map), wanted.layers[0])
      #expect((map.fromLayer, map.toLayer) == (2, .layer(3)))
      #expect(map.fromTokens == [layer.fromToken] && map.toTokens == [layer.toToken])
      #expect(map.identitySubtracted && map.converged && map.shape == [24, 24])
      // |σ̂ − σ| ≤ residual norm ≤ 10⁻⁵ σ₁ (Weyl), on both sides.
      for (a, b) in zip(map.singularValues, layer.singularValues) {
        #expect(abs(a - b) <= 2e-5 * layer.singularValues[0])
      }
    }
  }

  /// Parts of a vector of norm 1 have squares that add up to 1, and the arrays are those of the record.
  @Test func partsMakeUpTheWhole() throws {
    let scratch = try ScratchFolder()
    let found = try record(
      run {
        ($0.map.fromLayer, $0.map.toLayer) = (0, .layer(2))
        ($0.map.fromToken, $0.map.toToken) = (.all, .indices([-1, 1]))
      }, in: scratch["run"])
    let arrays = try SafetensorsFile(scratch["run/triplets.safetensors"])
    for (p, prompt) in found.prompts.enumerated() {
      let map = try #require(prompt.map)
      let count = Self.prompts[p].count
      #expect(map.fromTokens == Array(0..<count) && map.toTokens == [1, count - 1])
      #expect(!map.identitySubtracted && map.shape == [48, 24 * count])
      let norms = try #require(map.tokenNorms)
      #expect(norms.left[0].count == 2 && norms.right[0].count == count)
      for row in norms.left + norms.right {
        // Vectors are orthonormal to some ulps of double precision.
        #expect(abs(row.reduce(0) { $0 + $1 * $1 } - 1) < 1e-12)
      }
      #expect(arrays.info("p\(p).U")?.shape == [4, 48])
      #expect(arrays.info("p\(p).V")?.shape == [4, 24 * count])
      #expect(
        try arrays.tensor("p\(p).S").numbers() == map.singularValues.map { Float($0) })
    }
  }

  /// The average's triplets are those of the mean of the prompts' matrices.
  @Test func averagesAreMeans() throws {
    let scratch = try ScratchFolder()
    let found = try record(
      run {
        ($0.map.fromLayer, $0.map.toLayer) = (1, .layer(3))
        $0.map.average = true
      }, in: scratch["run"])
    let map = try #require(found.average)
    #expect(map.fromTokens == [-1] && map.toTokens == [-1])
    #expect(found.prompts.allSatisfy { $0.map == nil })
    #expect(found.prompts.map(\.toTokens) == [[3], [2], [4]])
    let model = try loadTransformer(CheckpointDirectory(opening: ModelFixture("llama").folder))
    let one = JacobianMap(fromLayer: 1, to: .layer(3))
    let matrices = try Self.prompts.map { tokens in
      try linearize(one, of: [.tokens(tokens)], in: model, as: Double.self).materialized()
    }
    let mean = Matrix<Double>(
      rows: 24, columns: 24,
      elements: matrices[0].elements.indices.map { i in
        matrices.reduce(0) { $0 + $1.elements[i] } / 3
      })
    let values = try mean.singularValueDecomposition().1
    // Residuals of 10⁻⁵ σ₁, and products in single precision.
    for (a, b) in zip(map.singularValues, values) { #expect(abs(a - b) <= 3e-5 * values[0]) }
  }

  // MARK: Read-out

  /// With an RMSNorm of gain g the score is W (g ∘ w) √d / ‖w‖.
  @Test func scoresAreLogitsOfDirections() throws {
    let scratch = try ScratchFolder()
    let found = try record(run { $0.readOut = 3 }, in: scratch["run"])
    let arrays = try SafetensorsFile(scratch["run/triplets.safetensors"])
    let weights = try SafetensorsFile("\(ModelFixture("llama").folder)/model.safetensors")
    let gain = try weights.tensor("model.norm.weight").numbers().map { Double($0) }
    let head = try weights.tensor(
      weights.info("lm_head.weight") == nil ? "model.embed_tokens.weight" : "lm_head.weight"
    ).numbers().map { Double($0) }
    let d = gain.count
    for (p, prompt) in found.prompts.enumerated() {
      let readOut = try #require(prompt.map?.readOut)
      for (side, name) in [(readOut.left, "U"), (readOut.right, "V")] {
        let vectors = try arrays.tensor("p\(p).\(name)").numbers().map { Double($0) }
        for k in 0..<4 {
          let w = (0..<d).map { vectors[k * d + $0] * gain[$0] * Double(d).squareRoot() }
          let scores = (0..<head.count / d).map { id in
            (0..<d).reduce(0) { $0 + head[id * d + $1] * w[$1] }
          }
          let order = scores.indices.sorted { scores[$0] > scores[$1] }
          let part = side[k][0]
          #expect(part.favoured.map(\.id) == Array(order.prefix(3)))
          #expect(part.disfavoured.map(\.id) == Array(order.reversed().prefix(3)))
          // Sums of d terms in single precision, of vectors rounded to it; the norm's ε beside a mean square of 1.
          let size = scores.map(abs).max() ?? 0
          for entry in part.favoured + part.disfavoured {
            #expect(abs(entry.score - scores[entry.id]) <= 1e-4 * size)
          }
        }
      }
    }
  }

  /// Logits are their own scores, and the difference of two has none.
  @Test func logitsAreTheirOwnScores() throws {
    let scratch = try ScratchFolder()
    let found = try record(
      run {
        $0.map.toLayer = .logits
        $0.readOut = 2
      }, in: scratch["run"])
    let u = try SafetensorsFile(scratch["run/triplets.safetensors"]).tensor("p0.U").numbers()
    let map = try #require(found.prompts[0].map)
    let first = Array(u.prefix(map.shape[0]))
    let best = try #require(map.readOut?.left[0][0].favoured.first)
    #expect(Float(best.score) == first.max() && first[best.id] == Float(best.score))
    let difference = try record(
      run {
        $0.map.logits = [3, 5]
        $0.solution.top = nil
        $0.readOut = 2
      }, in: scratch["difference"])
    let row = try #require(difference.prompts[0].map)
    #expect(row.shape == [1, 24] && row.singularValues.count == 1 && row.solver == "dense")
    #expect(row.readOut?.left == [] && row.readOut?.right[0][0].favoured.count == 2)
  }

  // MARK: What is kept

  @Test(arguments: [1, 2]) func stoppedRunsGoOn(after limit: Int) throws {
    let scratch = try ScratchFolder()
    let path = scratch["run"]
    #expect(throws: RunError.interrupted(resume: path)) {
      try record(run(), in: path, progress: UnitLimit(limit))
    }
    try record(run(), in: path)
    try record(run(), in: scratch["undisturbed"])
    #expect(try contents(path) == contents(scratch["undisturbed"]))
    #expect(try MapRun.Folder(path, for: run().manifest()).isComplete)
    #expect(throws: RunError.interrupted(resume: nil)) {
      try record(run(), in: scratch["nothing"], progress: UnitLimit(0))
    }
  }

  @Test func otherRunsAreRefused() throws {
    let scratch = try ScratchFolder()
    let path = scratch["run"]
    try record(run { $0.map.toLayer = .layer(3) }, in: path)
    func expectRefusal(
      _ word: String, _ prompts: [[Int]] = Self.prompts, _ change: (inout MapSettings) -> Void
    ) {
      let error = #expect(throws: RunError.self) {
        let manifest = try run(ModelFixture("llama").folder, prompts, change).manifest()
        _ = try MapRun.Folder(path, for: manifest)
      }
      #expect(error?.description.contains(word) == true, "\(word): \(String(describing: error))")
    }
    expectRefusal("`seed` is 0 there and 1 here") { $0.common.seed = 1 }
    expectRefusal("`from_layer` is 2 there and 1 here") { $0.map.fromLayer = 1 }
    expectRefusal("`linearization` is full there and detached here") {
      $0.map.linearization = .detached
    }
    expectRefusal("`read_out` is null there and 4 here") { $0.readOut = 4 }
    expectRefusal("prompts", Array(Self.prompts.prefix(2))) { _ in }
    // The same map requested in another way.
    #expect(
      try MapRun.Folder(
        path, for: run { $0.map.fromToken = .indices([-1]) }.manifest()
      ).isComplete)
  }

  // MARK: Failures

  /// A prompt whose states are not finite is recorded, and the others have the same results as without it.
  @Test(arguments: [false, true]) func othersGoOn(isAverage: Bool) throws {
    let scratch = try ScratchFolder()
    let model = try FailedPromptTests.EditedModel(
      "model.embed_tokens.weight", row: 25, .infinity)
    let change = { (s: inout MapSettings) in s.map.average = isAverage }
    let found = try record(
      run(model.folder, [Self.prompts[0], [25, 1, 2], Self.prompts[2]], change),
      in: scratch["run"])
    let healthy = try record(
      run(model.folder, [Self.prompts[0], Self.prompts[2]], change), in: scratch["healthy"])
    let failure = try #require(found.failures.first)
    #expect(found.failures.count == 1 && found.prompts[1].map == nil)
    #expect(failure.number == 2 && failure.layer == 0 && failure.token == 0)
    #expect(failure.tensor == "model.embed_tokens.weight")
    #expect(found.maps.map(\.map.singularValues) == healthy.maps.map(\.map.singularValues))
    let error = #expect(throws: RunError.self) {
      try record(run(model.folder, [[25, 1]], change), in: scratch["none"])
    }
    guard case .allFailed? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(scratch.contents.sorted() == ["healthy", "run"])
  }
}
