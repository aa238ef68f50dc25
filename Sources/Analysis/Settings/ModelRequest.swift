import Foundation
import Weights

/// The requested settings of a model and of how a command runs it; nil for those left to the defaults.
///
/// The command, the C library and Python fill it in, so that `settings()` gives all of them the same defaults.
public struct ModelRequest: Sendable, Equatable {
  /// The model's path or hub name, as given.
  public var model: String
  /// The model's name in the result; nil to derive it from `model`.
  public var name: String?
  /// The training step it was saved at; nil to derive it from the name.
  public var step: Int?
  /// Whether the weights are random.
  public var randomInit: Bool?
  /// The seed of start vectors, probes and random weights.
  public var seed: UInt64?
  /// The encoder's text.
  public var encoderPrompt: String?
  /// The encoder's token ids, in place of text.
  public var encoderTokenIds: [Int]?
  /// The number of threads for products; nil for all cores.
  public var threads: Int?
  /// The limit on peak resident bytes.
  public var maxMemory: Int?
  /// The run folder.
  public var output: String?

  /// Requests a model with default settings.
  public init(model: String) { self.model = model }

  /// Throws `RunError.badSetting` for settings that fit no model.
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
    try Self.checkInstructionSet(
      ProcessInfo.processInfo.environment[Engine.InstructionSet.variable])
    if output == "" { throw .badSetting(.output, reason: "is empty; name a folder") }
  }

  /// Throws `RunError.badVariable` if the processor has no instruction set of this name.
  public static func checkInstructionSet(_ value: String?) throws(RunError) {
    guard Engine.InstructionSet(named: value) == nil else { return }
    let known = Engine.InstructionSet.allCases.filter {
      $0.rawValue <= Engine.InstructionSet.best.rawValue
    }
    throw .badVariable(
      Engine.InstructionSet.variable, value: value ?? "",
      reason: "names no instruction set of this processor; set it to "
        + known.map(\.name).joined(separator: " or ") + ", or unset it")
  }

  /// The settings with defaults filled in. Throws `RunError.badSetting`.
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

  /// The last component of a file's or folder's path, or the hub name; marked if the weights are random.
  private var defaultName: String {
    var name = model
    if FileManager.default.fileExists(atPath: model) {
      name = URL(fileURLWithPath: model).standardizedFileURL.lastPathComponent
      if name.hasSuffix(".gguf") { name.removeLast(5) }
    }
    return randomInit == true ? "\(name) (random)" : name
  }
}
