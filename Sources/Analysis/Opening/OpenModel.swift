import Checkpoint
import LinearAlgebra
import Model
import Tokenization
import Weights

/// A model that is open: its files, its weights, its vocabulary, and what computes with them.
package struct OpenModel: Sendable {
  /// What it computes with.
  package let engine: Engine
  /// The model.
  package let model: any Transformer
  /// Its files.
  package let directory: CheckpointDirectory
  /// Seconds that opening it took.
  package let seconds: Double
  /// The settings it was opened with.
  package let settings: ModelSettings
  private let vocabulary: Result<Tokenizer, any Error>

  /// Opens a model; `tower` is the part that is meant of one that reads both text and images.
  ///
  /// Throws `FileError`, `ModelError`, `BLAS.AddressSpaceError`.
  package init(_ settings: ModelSettings, tower: Tower = .text) throws {
    let start = monotonicSeconds()
    self.settings = settings
    engine = Engine(threads: settings.threads)
    let directory = try CheckpointDirectory(opening: settings.model)
    self.directory = directory
    model = try Self.model(in: directory, tower, settings, engine)
    // After the weights are mapped, which takes address space too.
    try BLAS.checkAddressSpace(threads: engine.threads)
    vocabulary = Result { try Tokenizer(for: directory) }
    seconds = monotonicSeconds() - start
  }

  private init(_ other: OpenModel, _ model: any Transformer) {
    (engine, directory, settings) = (other.engine, other.directory, other.settings)
    (vocabulary, seconds) = (other.vocabulary, other.seconds)
    self.model = model
  }

  private static func model(
    in directory: CheckpointDirectory, _ tower: Tower, _ settings: ModelSettings, _ engine: Engine
  ) throws -> any Transformer {
    try engine.use {
      try loadTransformer(
        directory, tower: tower, randomSeed: settings.randomInit ? settings.seed : nil)
    }
  }

  /// The part of the model that reads such prompts: of a model of text and images, the one that reads images if there are any.
  package func reading(_ prompts: [PromptInput]) throws -> OpenModel {
    guard Tower(of: prompts) == .images, case .tokens = model.description.input else {
      return self
    }
    return OpenModel(self, try Self.model(in: directory, .images, settings, engine))
  }

  /// The vocabulary; nil where there is none that can be used and it is not needed. Throws `RunError`.
  package func tokenizer(isNeeded: Bool = true) throws -> Tokenizer? {
    do {
      return try vocabulary.get()
    } catch  where !isNeeded {
      return nil
    } catch TokenizationError.noVocabulary(let folder) {
      throw RunError.noTokenizer(path: folder)
    } catch let error as TokenizationError {
      throw RunError.badTokenizer(reason: "\(error)")
    }
  }

  /// The token ids of a text, as those of a prompt; none of an empty text. Throws `RunError`.
  package func tokens(of text: String) throws -> [Int] {
    PromptReader(settings, model.description, try tokenizer(), directory).encoded(text)
  }
}

extension Tower {
  /// The part of a model of text and images that reads these prompts.
  init(of prompts: [PromptInput]) {
    let hasImages = prompts.contains { if case .image = $0 { true } else { false } }
    self = hasImages ? .images : .text
  }
}
