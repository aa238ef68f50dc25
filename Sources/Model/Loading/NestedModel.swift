import Files
import Checkpoint

/// A part of a checkpoint that is not the model of text: a tower for images or sound, or a projector.
public struct UnreadPart: Sendable, Equatable {
  /// The prefix of its tensors' names.
  public var name: String
  /// The number of its tensors.
  public var tensors: Int
  /// The bytes of its tensors.
  public var bytes: Int

  /// The parts that tensors belong to, judged by the first word of their names other than `model`.
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

/// A part of a multimodal model that is a model by itself.
public enum Tower: String, Sendable {
  /// The text model, by the key of its configuration.
  case text = "text_config"
  /// The image model, by the key of its configuration.
  case images = "vision_config"

  /// The first words, other than `model`, of names of tensors for images, sound, and the projections between these
  /// and text.
  private static let besidesText: Set = [
    "visual", "vision_model", "vision_tower", "vision_embed_tokens", "audio_tower", "connector",
    "multi_modal_projector", "visual_projection", "text_projection", "logit_scale", "logit_bias",
  ]

  /// The other part of the whole model that a tensor belongs to; nil if it belongs to this one.
  func otherPart(_ tensor: String) -> String? {
    let first = tensor.split(separator: ".").first { $0 != "model" }.map(String.init) ?? ""
    switch self {
    case .text: return Self.besidesText.contains(first) ? first : nil
    case .images: return first == "vision_model" ? nil : first
    }
  }
}

extension [FamilyDefinition] {
  /// The part to read of a multimodal model of this `model_type`, preferably `wanted` if the families know it, and
  /// the `model_type` that its configuration has if it gives none; nil if the model is not multimodal.
  func tower(of type: String, _ wanted: Tower) -> (tower: Tower, inner: String)? {
    let known = compactMap { family in family.outerTypes[type].map { (family.tower, $0) } }
    return known.first { $0.0 == wanted } ?? known.first
  }
}

extension Configuration {
  /// The keys of one part of a model: those in its own object, and those that the whole model sets for all parts.
  /// Older files of some models have the keys of the text part among those of the whole.
  ///
  /// Throws `ModelError.badKey` if there are none.
  convenience init(
    _ tower: Tower, of whole: Configuration, _ object: JSONObject
  ) throws(ModelError) {
    let key = tower.rawValue
    // CLIP was published with a copy of the object under another name, which takes precedence.
    guard let part = object[key + "_dict"]?.object ?? object[key]?.object else {
      guard tower == .text, whole.mentions("hidden_size"), object[key]?.isNull != false else {
        throw .badKey(file: whole.file, key: key, reason: "is missing or not an object")
      }
      self.init(file: whole.file) { $0 == "model_type" ? nil : object[$0] }
      return
    }
    self.init(file: "\(whole.file), \(key)") { key in
      switch key {
      // The class that the weights belong to, and how they are stored.
      case "architectures", "quantization_config":
        [object, part].compactMap { $0[key] }.first { !$0.isNull }
      // The head belongs to the whole model, and either may say that it is tied.
      case "tie_word_embeddings":
        [object, part].compactMap { $0[key] }.first { $0.bool == true } ?? part[key] ?? object[key]
      default: part[key]
      }
    }
  }
}
