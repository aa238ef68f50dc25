import Checkpoint
import LinearAlgebra
import Model
import Tokenization
import Weights

/// An open model: its files, its weights, its vocabulary, and the engine that computes with them.
package struct OpenModel: Sendable {
  /// The engine that computes with it.
  package let engine: Engine
  /// The model.
  package let model: any Transformer
  /// Its files.
  package let directory: CheckpointDirectory
  /// The seconds that opening took.
  package let seconds: Double
  /// The settings it was opened with.
  package let settings: ModelSettings
  private let vocabulary: Result<Tokenizer, any Error>

  /// Opens a model; `tower` selects the part of a model that reads both text and images.
  ///
  /// Throws `FileError`, `ModelError`, `BLAS.AddressSpaceError`.
  package init(_ settings: ModelSettings, tower: Tower = .text) throws {
    let start = monotonicSeconds()
    self.settings = settings
    engine = Engine(threads: settings.threads)
    let directory = try CheckpointDirectory(opening: settings.model)
    self.directory = directory
    model = try Self.model(in: directory, tower, settings, engine)
    // This comes after the weights are mapped, which takes address space too.
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

  /// The part of the model that reads these prompts: in a model of text and images, the image part if there are images.
  package func reading(_ prompts: [PromptInput]) throws -> OpenModel {
    guard Tower(of: prompts) == .images, case .tokens = model.description.input else {
      return self
    }
    return OpenModel(self, try Self.model(in: directory, .images, settings, engine))
  }

  /// The vocabulary; nil if there is no usable one and it is not needed. Throws `RunError`.
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

  /// The token ids of a text, as for a prompt; none for an empty text. Throws `RunError`.
  package func tokens(of text: String) throws -> [Int] {
    PromptReader(settings, model.description, try tokenizer(), directory).encoded(text)
  }
}

extension Tower {
  /// Selects the part of a model of text and images that reads these prompts.
  init(of prompts: [PromptInput]) {
    let hasImages = prompts.contains { if case .image = $0 { true } else { false } }
    self = hasImages ? .images : .text
  }
}
