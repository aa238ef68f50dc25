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

/// A part of a model of text and other things that is a model by itself.
public enum Tower: String, Sendable {
  /// That of text, under the key of its configuration.
  case text = "text_config"
  /// That of images.
  case images = "vision_config"

  /// What the names of tensors of images, sound and what ties these to text begin with, `model` aside.
  private static let besidesText: Set = [
    "visual", "vision_model", "vision_tower", "vision_embed_tokens", "audio_tower", "connector",
    "multi_modal_projector", "visual_projection", "text_projection", "logit_scale", "logit_bias",
  ]

  /// What part of the whole a tensor belongs to if not to this one; nil if to this one.
  func otherPart(_ tensor: String) -> String? {
    let first = tensor.split(separator: ".").first { $0 != "model" }.map(String.init) ?? ""
    switch self {
    case .text: return Self.besidesText.contains(first) ? first : nil
    case .images: return first == "vision_model" ? nil : first
    }
  }
}

extension [FamilyDefinition] {
  /// Which part of a whole of this `model_type` is read, the `wanted` one if the families know it, and the `model_type` that
  /// its configuration has where it does not say; nil for what is no whole of several.
  func tower(of type: String, _ wanted: Tower) -> (tower: Tower, inner: String)? {
    let known = compactMap { family in family.outerTypes[type].map { (family.tower, $0) } }
    return known.first { $0.0 == wanted } ?? known.first
  }
}

extension Configuration {
  /// The keys of a part of a model: its own object, and what the whole says of all parts. Old files of some wholes have the
  /// keys of text among those of the whole.
  ///
  /// Throws `ModelError.badKey` where there are none.
  convenience init(
    _ tower: Tower, of whole: Configuration, _ object: JSONObject
  ) throws(ModelError) {
    let key = tower.rawValue
    // CLIP was published with the same under another name, and it counts.
    guard let part = object[key + "_dict"]?.object ?? object[key]?.object else {
      guard tower == .text, whole.mentions("hidden_size"), object[key]?.isNull != false else {
        throw .badKey(file: whole.file, key: key, reason: "is missing or no object")
      }
      self.init(file: whole.file) { $0 == "model_type" ? nil : object[$0] }
      return
    }
    self.init(file: "\(whole.file), \(key)") { key in
      switch key {
      // The class whose weights these are, and how they are stored.
      case "architectures", "quantization_config":
        [object, part].compactMap { $0[key] }.first { !$0.isNull }
      // The head is the whole model's, and either may say that it is tied.
      case "tie_word_embeddings":
        [object, part].compactMap { $0[key] }.first { $0.bool == true } ?? part[key] ?? object[key]
      default: part[key]
      }
    }
  }
}
