import Model
import Weights

/// What every result records about how it came about. In `result.json` its members are beside those of the command.
public struct RecordHead<Settings: Codable & Sendable>: Codable, Sendable {
  /// The version of Krylens that wrote the record.
  public var krylens = krylensVersion
  /// The command, such as `triplets`.
  public var command: String
  /// Whether everything requested is there.
  public var complete: Bool
  /// The model.
  public var model: ModelRecord
  /// All settings in effect.
  public var settings: Settings
  /// Wall-clock seconds.
  public var seconds: RecordSeconds
  /// What the residual norms are measured against.
  @Nullable public var residualsAgainst: String?
  /// The kinds of processor that computed it.
  @Nullable public var computedWith: [ProcessorRecord]?
  /// Peak resident bytes, including mapped weights that were read.
  public var peakMemoryBytes = 0
  /// Peak anonymous resident bytes: the memory needed besides the mapped weights.
  public var peakPrivateBytes = 0

  package init(
    command: String, complete: Bool, model: ModelRecord, settings: Settings,
    computedWith: [ProcessorRecord]? = nil
  ) {
    self.command = command
    self.complete = complete
    self.model = model
    self.settings = settings
    seconds = RecordSeconds()
    residualsAgainst = PrecisionMode.single.residualsAgainst
    self.computedWith = computedWith
  }

  /// Records the memory used so far.
  package mutating func measure(_ meter: MemoryMeter) {
    meter.sample()
    peakMemoryBytes = meter.peakResidentBytes
    peakPrivateBytes = meter.peakPrivateBytes
  }
}

/// Seconds by part.
public struct RecordSeconds: Codable, Sendable {
  /// The whole run.
  public var total = 0.0
  /// Opening the model and tokenizing.
  public var load = 0.0
  /// The work, including the forward pass.
  public var solve = 0.0

  package init(total: Double = 0, load: Double = 0, solve: Double = 0) {
    (self.total, self.load, self.solve) = (total, load, solve)
  }
}

/// A prompt in a result. In `result.json` its members are beside the results for the prompt.
public struct PromptEntry: Codable, Sendable, Equatable, IdentifiedPrompt {
  /// The text, if it was given as text.
  @Nullable public var text: String?
  /// The image, if it was one.
  @Nullable public var image: String?
  /// A hash of the image's pixel values, if it was one.
  @Nullable public var imageHash: String?
  /// The tokens; nil for an image.
  @Nullable public var tokenIds: [Int]?
  /// Their texts as the vocabulary has them, if there is one.
  @Nullable public var tokens: [String?]?
  /// The tokens the encoder read, in models that have one.
  @Nullable public var encoderTokenIds: [Int]?
  /// Why there are no results; null if there are.
  @Nullable public var failed: PromptFailure?

  /// The entry for a prompt of an open model.
  package init(_ prompt: LoadedModel.Prompt, in loaded: LoadedModel) {
    let header = PromptHeader(prompt.given, prompt.input, [])
    (text, image, imageHash) = (header.text, header.image, header.imageHash)
    (tokenIds, encoderTokenIds) = (header.tokenIds, header.encoderTokenIds)
    tokens = loaded.texts(of: header.tokenIds)
  }
}
