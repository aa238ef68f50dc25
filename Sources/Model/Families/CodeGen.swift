import Autodiff
import LinearAlgebra

extension FamilyDefinition {
  /// CodeGen: the block of GPT-J with queries, values and keys in one matrix, divided into parts for the four
  /// machines it was trained on.
  ///
  /// F = X + attention(norm X) + mlp(norm X). Nijkamp et al., arXiv 2203.13474.
  public static let codeGen = FamilyDefinition(
    "codegen", initialisation: Initialisation(hasPadding: false)
  ) { try DecoderModel(codeGen: $0) }
}

extension DecoderModel {
  fileprivate init(codeGen file: ModelFile) throws {
    let (r, parts) = (try GPT2Reader.gptJ(file), 4)
    try file.configuration.check(r.width % parts == 0, "n_embd", "is not a multiple of \(parts)")
    // Each part contains first queries, then values, then keys.
    let size = r.width / parts
    let rows = { (kind: Int) -> [Int] in
      (0..<parts).flatMap { part in
        let start = (3 * part + kind) * size
        return start..<start + size
      }
    }
    try self.init(gptJ: file, r) { r, block in
      .fused(
        try block.linear("attn.qkv_proj", outputs: 3 * r.width, inputs: r.width, bias: false),
        query: rows(0), key: rows(2), value: rows(1))
    }
  }
}
