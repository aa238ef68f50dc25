import Foundation

/// What was asked for of a model and how a command is executed on it; nil for what was left to the defaults.
///
/// The command, the C library and Python fill it, and all have the same defaults by `settings()`.
public struct ModelRequest: Sendable, Equatable {
  /// The model as it was named.
  public var model: String
  /// Its name in the result; nil for the one that `model` gives it.
  public var name: String?
  /// The training step it was taken at; nil for the one that its name tells.
  public var step: Int?
  /// Whether the weights are random instead.
  public var randomInit: Bool?
  /// Of start vectors, probes and random weights.
  public var seed: UInt64?
  /// The text an encoder reads.
  public var encoderPrompt: String?
  /// Its token ids instead.
  public var encoderTokenIds: [Int]?
  /// Threads of the products; nil for all cores.
  public var threads: Int?
  /// Peak resident bytes that must not be exceeded.
  public var maxMemory: Int?
  /// The run folder.
  public var output: String?

  /// Nothing but a model.
  public init(model: String) { self.model = model }

  /// Throws `RunError.badSetting` for what no model could meet.
  public func check() throws(RunError) {
    if let threads, !(1...1024).contains(threads) {
      throw .badSetting(.threads, value: "\(threads)", reason: "must be from 1 to 1024")
    }
    if let step, step < 0 {
      throw .badSetting(.step, value: "\(step)", reason: "must be 0 or more")
    }
    if let maxMemory, maxMemory < 1 {
      throw .badSetting(.maxMemory, value: "\(maxMemory)", reason: "must be 1 byte or more")
    }
  }

  /// The settings in force. Throws `RunError.badSetting`.
  public func settings() throws(RunError) -> ModelSettings {
    try check()
    let isRandom = randomInit ?? false
    var s = ModelSettings(
      model: model, name: name ?? defaultName,
      threads: threads ?? ProcessInfo.processInfo.activeProcessorCount)
    s.step = step ?? (isRandom ? nil : TrainingStep.named(model))
    s.randomInit = isRandom
    s.seed = seed ?? 0
    s.encoderPrompt = encoderPrompt
    s.encoderTokenIds = encoderTokenIds
    s.maxMemory = maxMemory
    s.output = output
    return s
  }

  /// A file's or folder's own name; a hub name as it is. Random weights are no longer that model's.
  private var defaultName: String {
    var name = model
    if FileManager.default.fileExists(atPath: model) {
      name = URL(fileURLWithPath: model).standardizedFileURL.lastPathComponent
      if name.hasSuffix(".gguf") { name.removeLast(5) }
    }
    return randomInit == true ? "\(name) (random)" : name
  }
}
