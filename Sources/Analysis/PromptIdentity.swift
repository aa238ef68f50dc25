extension PromptRecord {
  /// What was given, whatever a model's tokenizer made of it: the same for one text in several models.
  var given: [String] {
    if let text { return ["text", text] }
    if let image { return ["image", image] }
    return ["ids"] + (tokenIds ?? []).map { "\($0)" }
  }

  /// What the model read, to the token or the byte of an image.
  var read: [String] {
    [imageHash ?? image ?? ""] + [tokenIds, encoderTokenIds].map { "\($0 ?? [])" }
  }
}
