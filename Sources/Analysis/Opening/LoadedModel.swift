import Checkpoint
import Files
import Model
import Processes
import Tokenization
import Weights

/// An open model and the prompts it is run on: the start of every command that runs a model.
package struct LoadedModel: Sendable {
  /// A prompt as it was given, and the input it gives the model.
  package typealias Prompt = (given: PromptInput, input: ModelInput)

  /// The engine that it computes with.
  package let engine: Engine
  /// The model.
  package let model: any Transformer
  /// Its files.
  package let directory: CheckpointDirectory
  /// The vocabulary, if there is one.
  package let tokenizer: Tokenizer?
  /// The prompts, in the order given.
  package let prompts: [Prompt]
  /// The names of the prompts in messages.
  package let labels: [PromptLabel]
  /// Notes for the user, one line each: choices made among the model's files, and prompts that may have been meant differently
  /// from how they were read.
  package let notes: [String]
  /// The seconds that opening took.
  package let seconds: Double
  let settings: ModelSettings

  /// Opens the model, tokenizes the prompts and checks them against it, before any work is done.
  ///
  /// Throws `FileError`, `ModelError`, `RunError`.
  package init(
    _ settings: ModelSettings, prompts inputs: [PromptInput],
    team: any Communicator = SingleProcess()
  ) throws {
    try self.init(
      OpenModel(settings, tower: Tower(of: inputs), team: team), settings, prompts: inputs)
  }

  /// Opens the model alone, without prompts.
  package init(opening settings: ModelSettings) throws {
    try self.init(OpenModel(settings), settings, given: nil)
  }

  /// Tokenizes prompts for an open model and checks them against it. `settings` are those it was opened with, except for
  /// the encoder's input. Throws `FileError`, `ModelError`, `RunError`.
  package init(
    _ open: OpenModel, _ settings: ModelSettings, prompts inputs: [PromptInput]
  ) throws {
    try self.init(open, settings, given: inputs)
  }

  private init(_ open: OpenModel, _ settings: ModelSettings, given: [PromptInput]?) throws {
    let inputs = given ?? []
    let start = monotonicSeconds()
    self.settings = settings
    let (directory, model) = (open.directory, open.model)
    if given != nil { try PromptReader.checkKinds(of: inputs, settings, model.description) }
    let needsText =
      given != nil && settings.encoderPrompt != nil
      || inputs.contains { if case .text = $0 { true } else { false } }
    let tokenizer = try open.tokenizer(isNeeded: needsText)
    guard given == nil || !inputs.isEmpty else {
      throw RunError.badSetting(.prompt, reason: "is missing; give at least one")
    }
    let reader = PromptReader(settings, model.description, tokenizer, directory)
    if given != nil { try reader.checkEncoder(settings) }
    let labels = inputs.enumerated().map { PromptLabel(number: $0 + 1, $1) }
    prompts = try zip(inputs, labels).map { ($0, try reader.read($0, $1)) }
    notes =
      directory.notes + (tokenizer?.notes ?? []) + reader.notes(Array(zip(inputs, labels)))
    (engine, self.directory, self.model) = (open.engine, directory, model)
    (self.tokenizer, self.labels) = (tokenizer, labels)
    // Building a large vocabulary leaves freed memory in pieces too small for what comes next.
    returnFreedMemory()
    seconds = open.seconds + monotonicSeconds() - start
  }

  /// The texts of tokens in the vocabulary, if there is one.
  func texts(of tokens: [Int]?) -> [String?]? {
    tokenizer.flatMap { vocabulary in tokens.map { $0.map { vocabulary.token($0) } } }
  }

  /// The number of tokens of each prompt.
  package var lengths: [Int] { prompts.map { model.description.tokenCount(of: $0.input) } }

  /// A reader for prompts that were recorded.
  var reader: PromptReader { PromptReader(settings, model.description, tokenizer, directory) }

  /// The model's record. Reads the weights once, for their fingerprint. Throws `FileError`, and `RunError.interrupted`.
  package func record(progress: (any RunProgress)? = nil) throws -> ModelRecord {
    let d = model.description
    return ModelRecord(
      name: settings.name, source: directory.request, family: d.family, modelType: d.modelType,
      layers: d.layers, width: d.width, parameters: d.parameters, storedTypes: d.storedTypes,
      fingerprint: try fingerprint(progress), trainingStep: settings.step)
  }

  private func fingerprint(_ progress: (any RunProgress)?) throws -> String {
    var clock = ReadingClock("the weights once", now: monotonicSeconds())
    defer { if clock.hasShown { progress?.report(nil) } }
    return try directory.fingerprint { done, total in
      if let state = clock.state(loaded: done, of: total, now: monotonicSeconds()) {
        progress?.report(state)
      }
      if progress?.isCancelled == true { throw RunError.interrupted(resume: nil) }
    }
  }
}
