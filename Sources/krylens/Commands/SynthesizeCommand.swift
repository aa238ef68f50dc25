import Weights
import ArgumentParser
import Foundation
import LinearAlgebra
import Model

/// The types weights are written in.
private enum StoredType: String, CaseIterable, ExpressibleByArgument {
  case bf16, f16, f32

  /// By name, in letters of either case.
  init?(argument: String) { self.init(rawValue: argument.lowercased()) }

  var elementType: ElementType {
    switch self {
    case .bf16: .bf16
    case .f16: .f16
    case .f32: .f32
    }
  }
}

/// A checkpoint of a known model's shape with random weights.
struct SynthesizeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "synthesize",
    abstract: "A checkpoint of a known model's shape with random weights, for benchmarks.",
    discussion: "Known shapes: " + SyntheticCheckpoint.shapes.keys.sorted().joined(separator: ", ")
      + ".")

  @Option(help: "The known model whose shape it has.")
  var like: String

  @Option(help: "Blocks (default: as the model).")
  var layers: Int?

  @Option(help: "Width; the hidden width and the number of heads are scaled with it.")
  var width: Int?

  @Option(help: "Ids of the vocabulary (default: as the model).")
  var vocabulary: Int?

  @Option(help: "The type weights are stored in.")
  private var dtype = StoredType.bf16

  @Option(help: "Seed of the weights.")
  var seed: UInt64 = 0

  @Argument(
    help: ArgumentHelp("The folder; must not exist or be empty.", valueName: "folder"),
    completion: .directory)
  private var output: FilePath

  func run() throws { try withExitStatus { try write(to: output.path) } }

  private func write(to folder: String) throws {
    guard var shape = SyntheticCheckpoint.shapes[like] else {
      throw ValidationError(
        "--like \(like): no such shape; known are "
          + SyntheticCheckpoint.shapes.keys.sorted().joined(separator: ", "))
    }
    for (option, value) in [("layers", layers), ("width", width), ("vocabulary", vocabulary)] {
      if let value, !(1...1 << 24).contains(value) {
        throw ValidationError("--\(option) \(value): must be a positive number")
      }
    }
    if let width {
      let head = shape.width / shape.heads
      let heads = width / head
      guard width % head == 0, heads % max(1, heads * shape.keyValueHeads / shape.heads) == 0 else {
        throw ValidationError("--width \(width): must be a multiple of the head size, \(head)")
      }
      shape.feedForwardWidth = shape.feedForwardWidth * width / shape.width
      shape.keyValueHeads = max(1, heads * shape.keyValueHeads / shape.heads)
      shape.heads = heads
      shape.width = width
    }
    shape.layers = layers ?? shape.layers
    shape.vocabulary = vocabulary ?? shape.vocabulary
    if let contents = try? FileManager.default.contentsOfDirectory(atPath: folder),
      !contents.isEmpty
    {
      throw ValidationError("\(folder) exists and is not empty; choose another folder")
    }
    let checkpoint = SyntheticCheckpoint(
      shape: shape, elementType: dtype.elementType, seed: seed)
    Interrupt.catchSignals()
    let progress = ShareProgress()
    defer { progress.finish() }
    try checkpoint.write(to: folder) { share in
      progress.update(share)
      try Interrupt.check()
    }
    progress.finish()
    try StandardOutput.print(
      "\(folder): \(like), \(shape.layers) blocks, width \(shape.width), "
        + String(format: "%.2f GB", Double(checkpoint.byteCount) / 1e9))
  }
}

/// The share that is done, on standard error: on a terminal as it grows, elsewhere once a minute.
private final class ShareProgress {
  private let isTerminal = isatty(STDERR_FILENO) == 1
  private var last = Date()

  func update(_ share: Double) {
    let text = "\(Int(100 * share)) %"
    if isTerminal {
      write("\r\(text)\u{1B}[K")
    } else if Date().timeIntervalSince(last) >= 60 {
      last = Date()
      note(text)
    }
  }

  func finish() { if isTerminal { write("\r\u{1B}[K") } }

  private func write(_ text: String) {
    try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
  }
}
