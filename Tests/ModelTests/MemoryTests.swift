import Files
import Weights
import Autodiff
import Checkpoint
import LinearAlgebra
import Testing

@testable import Model

/// Weights are used where they are stored, and a linearization saves only vectors.
@Suite struct MemoryTests {
  /// Every matrix lies within its tensor's bytes of the mapped file, whether it is all of it or some of its rows.
  @Test(arguments: Fixture.all) func weightsAreMapped(_ fixture: Fixture) throws {
    let model = try fixture.load()
    let matrices = Self.matrices(in: model)
    let mapped = try model.source.tensors.map { try model.source.tensor($0.name).bytes }
    for matrix in matrices {
      #expect(matrix.owner is MappedFile)
      let bytes = UnsafeRawBufferPointer(start: matrix.base, count: matrix.byteCount)
      #expect(mapped.contains { $0.contains(bytes) })
    }
    // At least two matrices of a mixer or an MLP, since a block may have only one of these, and the embedding.
    #expect(matrices.count > 2 * model.description.layers)
  }

  private static func matrices(in value: Any) -> [StoredMatrix] {
    if let matrix = value as? StoredMatrix { return [matrix] }
    if value is any TensorSource { return [] }
    return Mirror(reflecting: value).children.flatMap { matrices(in: $0.value) }
  }

  /// Twice the width needs twice the workspace; no part of it grows with the square of the width, but for the fused map of
  /// an MLP, which has as many numbers as its gate. Those of an attention have two for every head, token and feature.
  @Test(arguments: JacobianSite.allCases) func workspaceIsLinear(_ site: JacobianSite) throws {
    let bytes = try [32, 64, 128].map { width in
      let model = try Self.model(width: width)
      let path = try Path<Float>(of: [[1, 2, 3, 4]], through: model)
      let j = residualJacobian(model, at: path.points[0], [(0, TokenSelection(3))], site: site)
      let workspace = { j.workspaceBytes(vectors: $0) - j.fusedBytes }
      #expect(workspace(6) == 6 * workspace(1))
      let gate = try model.source.tensor("model.layers.0.mlp.gate_proj.weight").matrix()
      let mlp = site == .attention ? 0 : 4 * gate.rows * gate.columns
      let attention = site == .mlp ? 0 : 4 * 2 * (4 * 4) * width
      #expect(j.fusedBytes == mlp + attention)
      return workspace(1)
    }
    // Affine in the width, because the attention's scratch memory depends only on the number of tokens.
    #expect(bytes[2] - bytes[1] == 2 * (bytes[1] - bytes[0]))
    #expect(bytes[2] < 128 * 128 * MemoryLayout<Float>.stride)
  }

  /// An application uses only saved values and changes none: the same input gives the same bits, whatever was applied
  /// in between.
  @Test func applicationsLeaveNoTrace() throws {
    let fixture = Fixture(name: "llama", form: .folder)
    let (model, expected) = (try fixture.load(), try fixture.expected())
    let path = try Path<Double>(of: [expected.input], through: model)
    var generator = SeededGenerator(seed: 1)
    let j = residualJacobian(model, at: path.points[1], [(0, TokenSelection(expected.last))])
    let (v, u) = (
      generator.normalMatrix(rows: 5, columns: 24), generator.normalMatrix(rows: 5, columns: 24)
    )
    let first = (j.apply(v), j.applyAdjoint(u))
    _ = (j.apply(u), j.applyAdjoint(v.prefix(1)), j.apply(v.prefix(2)))
    j.releaseWorkspace()
    #expect(j.applyAdjoint(u) == first.1)
    #expect(j.apply(v) == first.0)
    // Homogeneity is exact for powers of two.
    let doubled = Matrix(rows: 5, columns: 24, elements: v.elements.map { 2 * $0 })
    #expect(j.apply(doubled).elements == first.0.elements.map { 2 * $0 })
  }

  /// Two blocks of this width, with a hidden layer and heads in proportion.
  private static func model(width: Int) throws -> any Transformer {
    var draft = try Draft(of: "llama")
    draft.configuration.merge([
      "hidden_size": width, "intermediate_size": 2 * width, "head_dim": width / 4,
      "num_key_value_heads": 4, "num_hidden_layers": 2,
    ]) { $1 }
    var generator = SeededGenerator(seed: 3)
    let shapes = [
      "embed_tokens": [61, width], "lm_head": [61, width], "norm": [width],
      "input_layernorm": [width], "post_attention_layernorm": [width],
      "q_proj": [width, width], "k_proj": [width, width], "v_proj": [width, width],
      "o_proj": [width, width], "gate_proj": [2 * width, width], "up_proj": [2 * width, width],
      "down_proj": [width, 2 * width],
    ]
    draft.tensors = try draft.tensors.compactMap { entry, _ in
      if entry.name.hasPrefix("model.layers.2.") { return nil }
      let kind = try #require(entry.name.split(separator: ".").dropLast().last)
      let shape = try #require(shapes[String(kind)])
      let numbers = (0..<shape.reduce(1, *)).map { _ in Float(generator.normal()) / 8 }
      return (.init(name: entry.name, shape: shape), numbers)
    }
    return try draft.load()
  }
}

extension UnsafeRawBufferPointer {
  /// Whether these bytes are part of this memory.
  fileprivate func contains(_ part: UnsafeRawBufferPointer) -> Bool {
    guard let start = baseAddress, let first = part.baseAddress else { return false }
    return start <= first && first + part.count <= start + count
  }
}
