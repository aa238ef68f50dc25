import Files

/// The weights of a model under its own names, without those of what it was wrapped in when it was saved.
///
/// What wraps a model computes nothing: compilation, data parallelism, checkpointing of activations, an adapter that was
/// merged. Of a model of images and text, what remains is the model of text.
package struct UnwrappedTensors: TabulatedTensors {
  private let base: any TensorSource
  let table: TensorTable
  private let stored: [String]  // by position in `table`

  /// Parts of names that stand for a wrapper wherever they come.
  private static let wrappers: Set<Substring> = [
    "_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module", "base_layer",
  ]
  /// What wrappers put before all names.
  private static let prefixes = [
    "module.", "base_model.model.", "_forward_module.", "auto_model.", "pretrained_model.",
  ]
  /// What a model's own names begin with; `model.` before one of these is what a trainer called the whole.
  private static let cores = [
    "model.", "transformer.", "gpt_neox.", "bert.", "roberta.", "lm_head.",
  ]
  /// What comes before the names of the model of text, and what its own names have there.
  private static let languageModels = [
    ("language_model.", ""), ("model.language_model.", "model."),
    ("model.text_model.", "model."),
  ]

  /// What comes before the names of a part that predicts further tokens, beside the model.
  private static let furtherTokens = "mtp."

  /// The same weights under their own names, `source` itself where nothing wraps them, and those of other parts than the
  /// model of text, which are left out.
  ///
  /// Throws `FileError.notAModel` if the weights are to be combined with those of an adapter, and `duplicateName`.
  package static func unwrapping(
    _ source: any TensorSource
  ) throws(FileError) -> (tensors: any TensorSource, others: [TensorInfo]) {
    let names = source.tensors.map(\.name)
    if let adapter = names.first(where: isAdapter) {
      throw .notAModel(
        path: source.path,
        reason: "holds the matrices of an adapter (\(quoted(adapter))) that is not merged",
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

  /// The file, or what names the files or holds them.
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
