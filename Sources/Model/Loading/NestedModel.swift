import Files
import Checkpoint

/// A part of a checkpoint that is not the model of text: a tower of images or sound, a projector.
public struct UnreadPart: Sendable, Equatable {
  /// What its tensors' names begin with.
  public var name: String
  /// How many there are.
  public var tensors: Int
  /// Bytes they take.
  public var bytes: Int

  /// The parts that tensors belong to by the first word of their names, `model` aside.
  static func parts(of tensors: [TensorInfo]) -> [UnreadPart] {
    var parts: [String: UnreadPart] = [:]
    for tensor in tensors {
      let words = tensor.name.split(separator: ".")
      let name = String(words.first { $0 != "model" } ?? "")
      parts[name, default: UnreadPart(name: name, tensors: 0, bytes: 0)].tensors += 1
      parts[name]!.bytes += tensor.byteRange.count
    }
    return parts.values.sorted { $0.name < $1.name }
  }
}

extension Configuration {
  /// The keys of the model of text in a model of text and other things: its `text_config`, and what the whole says of both.
  ///
  /// Throws `ModelError.badKey` where there is none.
  convenience init(textOf whole: Configuration, _ object: JSONObject) throws(ModelError) {
    guard let text = object["text_config"]?.object else {
      throw .badKey(file: whole.file, key: "text_config", reason: "is missing or no object")
    }
    self.init(file: "\(whole.file), text_config") { key in
      switch key {
      // The class whose weights these are, and how they are stored.
      case "architectures", "quantization_config":
        [object, text].compactMap { $0[key] }.first { !$0.isNull }
      // The head is the whole model's, and either may say that it is tied.
      case "tie_word_embeddings":
        [object, text].compactMap { $0[key] }.first { $0.bool == true } ?? text[key] ?? object[key]
      default: text[key]
      }
    }
  }
}
