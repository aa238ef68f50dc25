import Files
import Checkpoint
import Images
import Model
import Tokenization

/// Turns prompts as they were given into the model's inputs.
struct PromptReader {
  private let model: ModelDescription
  private let tokenizer: Tokenizer?
  private let directory: CheckpointDirectory
  /// The encoder's tokens, the same for all prompts; nil unless the model has an encoder.
  private let encoder: [Int]?

  /// Precondition: `checkKinds` has passed, and there is a tokenizer if there is text.
  init(
    _ settings: ModelSettings, _ model: ModelDescription, _ tokenizer: Tokenizer?,
    _ directory: CheckpointDirectory
  ) {
    (self.model, self.tokenizer, self.directory) = (model, tokenizer, directory)
    encoder =
      settings.encoderTokenIds ?? settings.encoderPrompt.map { tokenizer?.encode($0) ?? [] }
  }

  /// Throws `RunError.badSetting`, naming the key, for images if the model reads tokens and the reverse, for an encoder's input
  /// if there is no encoder, and for none or two of them if there is one.
  static func checkKinds(
    of prompts: [PromptInput], _ settings: ModelSettings, _ model: ModelDescription
  ) throws(RunError) {
    for (p, prompt) in prompts.enumerated() {
      let label = PromptLabel(number: p + 1, prompt)
      switch (model.input, prompt) {
      case (.image, .image), (.tokens, .tokens), (.tokens, .text), (.decoder, .tokens),
        (.decoder, .text):
        continue
      case (_, .image(let path)):
        throw .badSetting(
          .image, value: path,
          reason: "a \(model.family) model reads tokens; give \(.prompt) or \(.tokenIds) instead "
            + "(\(label))")
      case (_, let prompt):
        let key: SettingKey = if case .text = prompt { .prompt } else { .tokenIds }
        throw .badSetting(
          key,
          reason: "a \(model.family) model reads images; give \(.image) instead (\(label))")
      }
    }
    let hasEncoder = if case .decoder = model.input { true } else { false }
    switch (settings.encoderPrompt, settings.encoderTokenIds) {
    case (nil, nil) where hasEncoder:
      throw .badSetting(
        .encoderPrompt,
        reason: "is missing, but the model's decoder needs an encoder's output; give it, or "
          + "\(.encoderTokenIds)")
    case (_?, _?):
      throw .badSetting(
        .encoderPrompt, reason: "and \(.encoderTokenIds) cannot be combined; give one of them")
    case (_?, nil) where !hasEncoder, (nil, _?) where !hasEncoder:
      throw .badSetting(
        settings.encoderPrompt == nil ? .encoderTokenIds : .encoderPrompt,
        reason: "a \(model.family) model has no encoder; leave it out")
    default: break
    }
  }

  /// The model's input for a prompt. Throws `RunError`, which names the prompt.
  func read(_ prompt: PromptInput, _ label: PromptLabel) throws -> ModelInput {
    let tokens: [Int]
    switch prompt {
    case .image(let path): return try RunError.naming(label) { try image(path, label) }
    case .tokens(let ids): tokens = ids
    case .text(let text, _): tokens = encoded(text)
    }
    guard !tokens.isEmpty else { throw RunError.emptyPrompt(label) }
    let input = encoder.map { ModelInput.decoder(tokens, encoder: $0) } ?? .tokens(tokens)
    try RunError.naming(label) { try model.check(input) }
    return input
  }

  /// Throws `RunError.badSetting` for an encoder's input that the model cannot be run on.
  func checkEncoder(_ settings: ModelSettings) throws(RunError) {
    guard let encoder, case .decoder(let start) = model.input else { return }
    do { try model.check(.decoder([start], encoder: encoder)) } catch {
      throw .badSetting(
        settings.encoderPrompt == nil ? .encoderTokenIds : .encoderPrompt,
        reason: "\(error)")
    }
  }

  /// Notes on texts that begin with the text of a special token: one line for all texts treated alike.
  func notes(_ prompts: [(input: PromptInput, label: PromptLabel)]) -> [String] {
    var labels: [String: [PromptLabel]] = [:]
    for (input, label) in prompts {
      guard case .text(let text, _) = input, let token = tokenizer?.leadingToken(of: text) else {
        continue
      }
      let ids = encoded(text)
      let isTwice = ids.count > 1 && ids[0] == token.id && ids[1] == token.id
      let name = "the text of the token \(quoted(token.text))"
      let what =
        if isTwice {
          "\(name), which is read as that token after the one that is put before every text, so the "
            + "model reads it twice; leave it out of the text to have it once"
        } else if token.isRead {
          "\(name), which is read as that token"
        } else {
          "\(name), which is read as ordinary text"
        }
      labels[what, default: []].append(label)
    }
    return labels.sorted { $0.value[0].number < $1.value[0].number }.map { what, labels in
      let more = labels.count - 1
      return more == 0
        ? "\(labels[0]) begins with \(what)" : "\(labels[0]) and \(more) more begin with \(what)"
    }
  }

  /// The token ids of a text; none for an empty one.
  func encoded(_ text: String) -> [Int] {
    guard let tokenizer, !text.isEmpty else { return [] }
    guard case .decoder(let start) = model.input else { return tokenizer.encode(text) }
    // A decoder continues its text, so a token that ends the text is left out.
    return [start] + tokenizer.encode(text, addingSpecialTokens: false)
  }

  private func image(_ path: String, _ label: PromptLabel) throws -> ModelInput {
    let isStored = path.utf8.suffix(12).elementsEqual(".safetensors".utf8)
    let pixels = try isStored ? storedPixels(path, label) : decodedPixels(path, label)
    do {
      try model.check(.image(pixels))
    } catch {
      throw refusal(path, label, "\(error)")
    }
    return .image(pixels)
  }

  private func storedPixels(_ path: String, _ label: PromptLabel) throws -> PixelValues {
    do {
      let pixels = try PixelValues(safetensors: path)
      guard pixels.values.allSatisfy(\.isFinite) else {
        throw refusal(path, label, "pixel_values holds NaN or infinity; write the file again")
      }
      return pixels
    } catch FileError.missingTensor {
      throw refusal(
        path, label, "has no tensor pixel_values; write the image's pixel values under that name")
    }
  }

  /// The pixel values of a PNG or JPEG file, prepared as the model's folder says.
  private func decodedPixels(_ path: String, _ label: PromptLabel) throws -> PixelValues {
    let settings = "preprocessor_config.json"
    guard case .image(let channels, _, _) = model.input, channels == 1 || channels == 3 else {
      throw refusal(
        path, label,
        "the model reads \(model.input), neither grey nor colour images; give it a .safetensors file "
          + "with a float32 tensor pixel_values (channels, height, width)")
    }
    guard let settingsPath = try directory.file(settings) else {
      throw refusal(
        path, label,
        "the model has no \(settings), which says how images are prepared; put it in "
          + "the model's folder, or give the prepared image as a .safetensors file with a float32 "
          + "tensor pixel_values (channels, height, width)")
    }
    let processor = try ImageProcessor(
      settingsPath, channels: channels, modelType: model.modelType)
    let file = try MappedFile(path)
    let image = try withExtendedLifetime(file) { try RGBImage(decoding: file.bytes, file: path) }
    try file.checkIntact()
    return try processor.pixelValues(of: image)
  }

  private func refusal(_ path: String, _ label: PromptLabel, _ reason: String) -> RunError {
    .badSetting(.image, value: path, reason: "\(reason) (prompt \(label.number))")
  }
}
