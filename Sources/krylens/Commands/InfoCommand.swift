import ArgumentParser
import Checkpoint
import Files
import Foundation
import Model

/// Describes a model without a forward pass.
struct InfoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "info",
    abstract: "Show a model's family, sizes and stored types, and what is supported.")

  @Argument(
    help: "A Hugging Face folder, a .gguf file, or a hub name in the local cache.")
  var model: FilePath

  func run() throws {
    let directory = try CheckpointDirectory(opening: model.path)
    let transformer = try loadTransformer(directory)
    let d = transformer.description
    var types: [String: (tensors: Int, bytes: Int)] = [:]
    for tensor in transformer.source.tensors {
      types[tensor.typeName, default: (0, 0)].tensors += 1
      types[tensor.typeName]!.bytes += tensor.byteRange.count
    }
    var rows: [(String, String)] = [("source", directory.path)]
    rows += Self.files(directory.choice)
    rows += [
      ("family", d.family == d.modelType ? d.family : "\(d.family) (\(d.modelType))"),
      ("blocks", "\(d.layers)"),
      ("width", "\(d.width)"),
      ("feed-forward", "\(d.feedForwardWidth)"),
      ("heads", "\(d.heads), key-value heads \(d.keyValueHeads)"),
      ("vocabulary", d.vocabulary > 0 ? "\(d.vocabulary)" : "none"),
      ("input", Self.input(d)),
      ("positions", d.positions.map { "\($0)" } ?? "unlimited"),
      ("parameters", "\(d.parameters)"),
    ]
    let active = transformer.activeParameters
    if active < d.parameters { rows.append(("active", "\(active) parameters per token")) }
    for (name, part) in types.sorted(by: { $0.key < $1.key }) {
      rows.append(("stored as \(name)", "\(part.tensors) tensors, \(Self.megabytes(part.bytes))"))
    }
    for part in d.unread {
      rows.append(
        ("not read", "\(part.name): \(part.tensors) tensors, \(Self.megabytes(part.bytes))"))
    }
    let reach = d.isCausal ? "zero when t1 comes after t2" : "any t1 and t2"
    rows += [
      ("residual", d.residual),
      ("Jacobian", "J = ∂f(X)ₜ₂ / ∂xₜ₁, \(d.width) × \(d.width), \(reach)"),
      ("supported", "sites block, attention, mlp; last block residual, drop, normed"),
      ("tokenizer", try tokenizer(directory)),
    ]
    rows += directory.notes.map { ("note", $0) }
    let lines = rows.map { $0.padding(toLength: 16, withPad: " ", startingAt: 0) + $1 }
    try StandardOutput.print(lines.joined(separator: "\n"))
  }

  /// The files the weights are read from and why, and the files beside them that are not read.
  private static func files(_ choice: WeightChoice) -> [(String, String)] {
    func described(_ files: [String]) -> String {
      "\(choice.listed(files)) (\(megabytes(choice.byteCount(of: files))))"
    }
    var rows = [("weights", "\(described(choice.files)), \(choice.reason)")]
    if !choice.left.isEmpty { rows.append(("not read", described(choice.left))) }
    return rows
  }

  private static func megabytes(_ bytes: Int) -> String {
    String(format: "%.1f MB", Double(bytes) / 1e6)
  }

  private static func input(_ model: ModelDescription) -> String {
    switch model.input {
    case .tokens: "tokens"
    case .decoder(let start):
      "decoder tokens (text follows token \(start)), and encoder tokens by --encoder-prompt or "
        + "--encoder-token-ids"
    case .image: "\(model.input): --image"
    }
  }

  private func tokenizer(_ directory: CheckpointDirectory) throws -> String {
    if case .gguf(let file) = directory.kind {
      guard let model = file["tokenizer.ggml.model"]?.string else {
        return "none; give prompts as --token-ids"
      }
      let pre = file["tokenizer.ggml.pre"]?.string
      return escaped(model, limit: 40)
        + (pre.map { " (\(escaped($0, limit: 40)))" } ?? (model == "gpt2" ? " (no pre)" : ""))
    }
    return try directory.tokenizerPath ?? "none; give prompts as --token-ids"
  }
}
