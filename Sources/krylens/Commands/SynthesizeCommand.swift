import Weights
import ArgumentParser
import Foundation
import LinearAlgebra
import Model

/// The types that weights can be written in.
private enum StoredType: String, CaseIterable, ExpressibleByArgument {
  case bf16, f16, f32

  /// Reads a type's name, in either case.
  init?(argument: String) { self.init(rawValue: argument.lowercased()) }

  var elementType: ElementType {
    switch self {
    case .bf16: .bf16
    case .f16: .f16
    case .f32: .f32
    }
  }
}

/// Writes a checkpoint of a known model's shape with random weights.
struct SynthesizeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "synthesize",
    abstract: "Write a checkpoint of a known model's shape with random weights, for benchmarks.",
    usage: "krylens synthesize [<options>] --like <like> <folder>",
    discussion: "Known shapes: " + SyntheticCheckpoint.shapes.keys.sorted().joined(separator: ", ")
      + ".")

  @Option(help: "The known model whose shape to take.")
  var like: String

  @Option(help: "Number of blocks (default: the model's).")
  var layers: Int?

  @Option(
    help:
      "Width; the feed-forward width and the number of heads are scaled with it (default: the model's)."
  )
  var width: Int?

  @Option(help: "Size of the vocabulary (default: the model's).")
  var vocabulary: Int?

  @Option(help: "The type of the stored weights.")
  private var dtype = StoredType.bf16

  @Option(help: "Seed of the weights.")
  var seed: UInt64 = 0

  @Flag(
    help: "Leave all weights 0, in a file that takes no disk space: enough for plan, not for align."
  )
  var empty = false

  @Argument(
    help: ArgumentHelp("The folder, new or empty.", valueName: "folder"),
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
      shape: shape, elementType: dtype.elementType, seed: seed, isEmpty: empty)
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

/// Shows the completed share on standard error: continuously on a terminal, otherwise once a minute.
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
