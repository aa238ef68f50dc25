import Checkpoint
import LinearAlgebra
import Model
import Processes
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
  private let team: any Communicator

  /// Opens a model; `tower` selects the part of a model that reads both text and images. The members of a team hold its
  /// blocks together.
  ///
  /// Throws `FileError`, `ModelError`, `BLAS.AddressSpaceError`, and `RunError.badSetting` for a model that cannot be divided.
  package init(
    _ settings: ModelSettings, tower: Tower = .text, team: any Communicator = SingleProcess()
  ) throws {
    let start = monotonicSeconds()
    (self.settings, self.team) = (settings, team)
    engine = Engine(threads: settings.threads)
    let directory = try CheckpointDirectory(opening: settings.model)
    self.directory = directory
    model = try Self.model(in: directory, tower, settings, engine, team)
    // This comes after the weights are mapped, which takes address space too.
    try BLAS.checkAddressSpace(threads: engine.threads)
    vocabulary = Result { try Tokenizer(for: directory) }
    seconds = monotonicSeconds() - start
  }

  private init(_ other: OpenModel, _ model: any Transformer) {
    (engine, directory, settings) = (other.engine, other.directory, other.settings)
    (vocabulary, seconds, team) = (other.vocabulary, other.seconds, other.team)
    self.model = model
  }

  private static func model(
    in directory: CheckpointDirectory, _ tower: Tower, _ settings: ModelSettings, _ engine: Engine,
    _ team: any Communicator
  ) throws -> any Transformer {
    try engine.use {
      let model = try loadTransformer(
        directory, tower: tower, randomSeed: settings.randomInit ? settings.seed : nil)
      do {
        return try model.divided(over: team)
      } catch ModelError.notDivisible(let family, let layer) {
        throw RunError.badSetting(
          .slices, value: "\(team.size)",
          reason:
            "block \(layer + 1) of this \(family) model cannot be divided among processes: only soft-max attention "
            + "with its own keys and values, MLPs and mixtures of experts can; leave \(.slices) out"
        )
      }
    }
  }

  /// The part of the model that reads these prompts: in a model of text and images, the image part if there are images.
  package func reading(_ prompts: [PromptInput]) throws -> OpenModel {
    guard Tower(of: prompts) == .images, case .tokens = model.description.input else {
      return self
    }
    return OpenModel(self, try Self.model(in: directory, .images, settings, engine, team))
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
