import Analysis
import CKrylensHeader
import Files
import Foundation
import Model

/// An open model. It is immutable, so that any number of threads may use it.
final class ModelHandle: HandleObject {
  static let kind = "model"
  let open: OpenModel

  init(_ open: OpenModel) { self.open = open }

  deinit { returnFreedMemory() }
}

/// Documented in `krylens.h`.
@c @implementation
public func krylens_open(
  _ path: UnsafePointer<CChar>?, _ settings: UnsafePointer<CChar>?,
  _ model: UnsafeMutablePointer<OpaquePointer?>?
) -> krylens_status {
  answer {
    let model = try output(model, "model")
    let path = try text(path, "path")
    let reader = try SettingsReader(settings)
    var request = ModelRequest(model: path)
    try request.read(reader, .threads, .randomInit, .seed)
    try reader.refuseUnknown()
    model.pointee = Handles.open(ModelHandle(try OpenModel(try request.settings())))
  }
}

/// Documented in `krylens.h`.
@c @implementation
public func krylens_model_close(_ model: OpaquePointer?) -> krylens_status {
  answer { try Handles.close(model, ModelHandle.self) }
}

/// Documented in `krylens.h`.
@c @implementation
public func krylens_model_info(
  _ model: OpaquePointer?, _ json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> krylens_status {
  answer {
    let handle: ModelHandle = try Handles.object(model)
    try output(json, "json").pointee = try returned(json: ModelInfo(handle.open))
  }
}

/// Documented in `krylens.h`.
@c @implementation
public func krylens_tokenize(
  _ model: OpaquePointer?, _ text: UnsafePointer<CChar>?,
  _ ids: UnsafeMutablePointer<UnsafeMutablePointer<Int64>?>?, _ count: UnsafeMutablePointer<Int>?
) -> krylens_status {
  answer {
    let handle: ModelHandle = try Handles.object(model)
    let (ids, count) = (try output(ids, "ids"), try output(count, "count"))
    let found = try handle.open.tokens(of: try CKrylens.text(text, "text"))
    let bytes = max(found.count, 1) * MemoryLayout<Int64>.stride
    guard let memory = malloc(bytes) else {
      throw Failure(KRYLENS_FAILED, "out of memory for the result")
    }
    let array = memory.bindMemory(to: Int64.self, capacity: max(found.count, 1))
    for (i, id) in found.enumerated() { array[i] = Int64(id) }
    (ids.pointee, count.pointee) = (array, found.count)
  }
}

/// Documented in `krylens.h`.
@c @implementation
public func krylens_token_text(
  _ model: OpaquePointer?, _ id: Int64,
  _ text: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> krylens_status {
  answer {
    let handle: ModelHandle = try Handles.object(model)
    let text = try output(text, "text")
    guard let tokenizer = try handle.open.tokenizer(), tokenizer.token(Int(id)) != nil else {
      throw Failure.argument("id \(id): the vocabulary has no such token")
    }
    text.pointee = try returned(tokenizer.decode([Int(id)]))
  }
}

/// The result of `krylens_model_info`.
private struct ModelInfo: Encodable {
  let source: String
  let family: String
  let modelType: String
  let layers: Int
  let width: Int
  let vocabulary: Int
  let heads: Int
  let keyValueHeads: Int
  let feedForwardWidth: Int
  @Nullable var positions: Int?
  let parameters: Int
  let activeParameters: Int
  let storedTypes: [String]
  let input: String
  let isCausal: Bool
  let hasTokenizer: Bool
  let randomInit: Bool
  let seed: UInt64
  let threads: Int
  let instructionSet: String
  let notes: [String]

  init(_ open: OpenModel) {
    let d = open.model.description
    (source, family, modelType) = (open.directory.path, d.family, d.modelType)
    (layers, width, vocabulary) = (d.layers, d.width, d.vocabulary)
    (heads, keyValueHeads, feedForwardWidth) = (d.heads, d.keyValueHeads, d.feedForwardWidth)
    _positions = Nullable(wrappedValue: d.positions)
    (parameters, activeParameters) = (d.parameters, open.model.activeParameters)
    storedTypes = d.storedTypes
    input =
      switch d.input {
      case .tokens: "tokens"
      case .decoder: "decoder"
      case .image: "image"
      }
    isCausal = d.isCausal
    let tokenizer = try? open.tokenizer()
    hasTokenizer = tokenizer != nil
    (randomInit, seed) = (open.settings.randomInit, open.settings.seed)
    (threads, instructionSet) = (open.engine.threads, open.engine.instructionSet.name)
    notes = open.directory.notes + (tokenizer?.notes ?? [])
  }
}
