import Files

/// The weights of a model under the model's own names, without the names of modules it was wrapped in when it was saved.
///
/// Wrappers compute nothing: compilation, data parallelism, activation checkpointing, a merged adapter. Of a model of images
/// and text, only the language model is kept.
package struct UnwrappedTensors: TabulatedTensors {
  private let base: any TensorSource
  let table: TensorTable
  private let stored: [String]  // by position in `table`

  /// Components of names that stand for a wrapper wherever they occur.
  private static let wrappers: Set<Substring> = [
    "_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module", "base_layer",
  ]
  /// Prefixes that wrappers add to all names.
  private static let prefixes = [
    "module.", "base_model.model.", "_forward_module.", "auto_model.", "pretrained_model.",
  ]
  /// Beginnings of a model's own names. `model.` before one of them is a trainer's name for the whole model.
  private static let cores = [
    "model.", "transformer.", "gpt_neox.", "bert.", "roberta.", "lm_head.",
  ]
  /// Prefixes of the language model's names, and the prefix that its own names have instead.
  private static let languageModels = [
    ("language_model.", ""), ("model.language_model.", "model."),
    ("model.text_model.", "model."),
  ]

  /// The prefix of a module for multi-token prediction, which is not part of the model.
  private static let furtherTokens = "mtp."

  /// The weights of the language model under its own names (`source` itself, if nothing wraps it), and the tensors of other
  /// parts, which are left out.
  ///
  /// Throws `FileError.notAModel` if the weights include an adapter that is not merged, and `duplicateName`.
  package static func unwrapping(
    _ source: any TensorSource
  ) throws(FileError) -> (tensors: any TensorSource, others: [TensorInfo]) {
    let names = source.tensors.map(\.name)
    if let adapter = names.first(where: isAdapter) {
      throw .notAModel(
        path: source.path,
        reason: "it contains the matrices of an adapter (\(quoted(adapter))) that is not merged",
        remedy: "merge it, in Python: model.merge_and_unload().save_pretrained(\"NEW-FOLDER\")")
    }
    var own = names.map(withoutWrappers)
    while let prefix = prefixes.first(where: { p in own.allSatisfy { $0.hasPrefix(p) } }),
      !own.isEmpty
    {
      own = own.map { String($0.dropFirst(prefix.count)) }
    }
    let module = "model."
    if own.allSatisfy({ $0.hasPrefix(module) }),
      own.contains(where: { name in cores.contains { name.hasPrefix(module + $0) } })
    {
      own = own.map { String($0.dropFirst(module.count)) }
    }
    var kept = own.indices.filter { !own[$0].hasPrefix(furtherTokens) }
    for (prefix, inner) in languageModels where own.contains(where: { $0.hasPrefix(prefix) }) {
      kept = kept.filter { own[$0].hasPrefix(prefix) || own[$0].hasPrefix("lm_head.") }
      for i in kept where own[i].hasPrefix(prefix) {
        own[i] = inner + own[i].dropFirst(prefix.count)
      }
      break
    }
    guard kept.count < names.count || zip(own, names).contains(where: { !$0.hasSameUTF8(as: $1) })
    else { return (source, []) }
    let isKept = Set(kept)
    return (
      UnwrappedTensors(
        base: source,
        table: try TensorTable(
          kept.map { source.tensors[$0].renamed(own[$0]) }, file: source.path),
        stored: kept.map { names[$0] }),
      own.indices.filter { !isKept.contains($0) }.map { source.tensors[$0].renamed(own[$0]) }
    )
  }

  private static func isAdapter(_ name: String) -> Bool {
    name.contains("lora_") && name.split(separator: ".").contains { $0.hasPrefix("lora_") }
  }

  private static func withoutWrappers(_ name: String) -> String {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.contains(where: wrappers.contains) else { return name }
    return parts.filter { !wrappers.contains($0) }.joined(separator: ".")
  }

  /// The file, the index or the folder, for messages.
  package var path: String { base.path }

  /// The bytes of any tensor. Throws `FileError.missingTensor`.
  package func storedBytes(_ name: String) throws(FileError) -> StoredBytes {
    guard let position = table.position(of: name) else {
      throw .missingTensor(file: path, tensor: name)
    }
    return try base.storedBytes(stored[position])
  }

  /// A view of a tensor's bytes, under its stored name. Throws `FileError.missingTensor` and `unsupportedType`.
  package func tensor(_ name: String) throws(FileError) -> StoredTensor {
    guard let position = table.position(of: name) else {
      throw .missingTensor(file: path, tensor: name)
    }
    return try base.tensor(stored[position])
  }

  /// Throws `FileError.changedWhileMapped` if a file changed since it was opened.
  package func checkIntact() throws(FileError) { try base.checkIntact() }
}

extension TensorInfo {
  fileprivate func renamed(_ name: String) -> TensorInfo {
    TensorInfo(
      name: name, shape: shape, typeName: typeName, elementType: elementType,
      byteRange: byteRange)
  }
}
