import Files
import Weights
import Checkpoint
import Foundation
import LinearAlgebra

/// A checkpoint with the shape of a known model and random weights, for benchmarks: the cost of a solve does not
/// depend on what a model has learned, and 16 GB need not be downloaded.
///
/// Weights are independent with mean 0 and deviation 0.02, as initialised by the reference implementation; each is
/// the sum of four uniform numbers, which is close enough to normal and fast to generate. Norms are 1. The file is
/// written piece by piece.
public struct SyntheticCheckpoint: Sendable {
  /// The shape of a model of the Llama family.
  public struct Shape: Sendable {
    /// The width d.
    public var width: Int
    /// The number of features of the MLP's hidden layer.
    public var feedForwardWidth: Int
    /// The number of query heads.
    public var heads: Int
    /// The number of key-value heads.
    public var keyValueHeads: Int
    /// The number of blocks L.
    public var layers: Int
    /// The number of ids in the vocabulary.
    public var vocabulary: Int
    /// The base of the rotary frequencies.
    public var theta = 10_000.0
    /// Whether the head is the embedding.
    public var isTied = false
  }

  /// The known shapes, by name.
  public static let shapes: [String: Shape] = [
    "llama-2-7b": Shape(
      width: 4096, feedForwardWidth: 11008, heads: 32, keyValueHeads: 32, layers: 32,
      vocabulary: 32000),
    "llama-2-13b": Shape(
      width: 5120, feedForwardWidth: 13824, heads: 40, keyValueHeads: 40, layers: 40,
      vocabulary: 32000),
    "llama-3-8b": Shape(
      width: 4096, feedForwardWidth: 14336, heads: 32, keyValueHeads: 8, layers: 32,
      vocabulary: 128_256,
      theta: 500_000),
    "llama-3-70b": Shape(
      width: 8192, feedForwardWidth: 28672, heads: 64, keyValueHeads: 8, layers: 80,
      vocabulary: 128_256,
      theta: 500_000),
    "llama-3.1-405b": Shape(
      width: 16384, feedForwardWidth: 53248, heads: 128, keyValueHeads: 8, layers: 126,
      vocabulary: 128_256,
      theta: 500_000),
    "mistral-7b": Shape(
      width: 4096, feedForwardWidth: 14336, heads: 32, keyValueHeads: 8, layers: 32,
      vocabulary: 32000),
    "tinyllama-1.1b": Shape(
      width: 2048, feedForwardWidth: 5632, heads: 32, keyValueHeads: 4, layers: 22,
      vocabulary: 32000),
    "smollm2-135m": Shape(
      width: 576, feedForwardWidth: 1536, heads: 9, keyValueHeads: 3, layers: 30, vocabulary: 49152,
      theta: 100_000, isTied: true),
    "smollm2-1.7b": Shape(
      width: 2048, feedForwardWidth: 8192, heads: 32, keyValueHeads: 32, layers: 24,
      vocabulary: 49152,
      theta: 130_000, isTied: true),
  ]

  /// The model's shape.
  public var shape: Shape
  /// The type of the weights: F32, F16 or BF16.
  public var elementType: ElementType
  /// The seed of the weights.
  public var seed: UInt64
  /// Whether all weights are 0, in a hole of the file: it takes no disk space, and a run on it can be predicted though it would
  /// find nothing.
  public var isEmpty: Bool

  /// Creates the description of a checkpoint, to be written by `write(to:progress:)`.
  public init(
    shape: Shape, elementType: ElementType = .bf16, seed: UInt64 = 0, isEmpty: Bool = false
  ) {
    self.shape = shape
    self.elementType = elementType
    self.seed = seed
    self.isEmpty = isEmpty
  }

  /// The bytes of the weights.
  public var byteCount: Int {
    entries.reduce(0) { $0 + $1.shape.reduce(1, *) * $1.elementType.blockBytes }
  }

  private var entries: [SafetensorsWriter.Entry] {
    let s = shape
    let (queries, keys) = (s.width, s.width / s.heads * s.keyValueHeads)
    let entry = { (name: String, shape: [Int]) in
      SafetensorsWriter.Entry(name: name + ".weight", shape: shape, elementType: elementType)
    }
    var result = [entry("model.embed_tokens", [s.vocabulary, s.width])]
    for l in 0..<s.layers {
      let block = "model.layers.\(l)."
      result += [
        entry(block + "input_layernorm", [s.width]),
        entry(block + "self_attn.q_proj", [queries, s.width]),
        entry(block + "self_attn.k_proj", [keys, s.width]),
        entry(block + "self_attn.v_proj", [keys, s.width]),
        entry(block + "self_attn.o_proj", [s.width, queries]),
        entry(block + "post_attention_layernorm", [s.width]),
        entry(block + "mlp.gate_proj", [s.feedForwardWidth, s.width]),
        entry(block + "mlp.up_proj", [s.feedForwardWidth, s.width]),
        entry(block + "mlp.down_proj", [s.width, s.feedForwardWidth]),
      ]
    }
    result.append(entry("model.norm", [s.width]))
    if !s.isTied { result.append(entry("lm_head", [s.vocabulary, s.width])) }
    return result
  }

  /// Writes `model.safetensors` and `config.json` into a folder, which is created if missing; `progress` is called
  /// with the share done and stops the work if it throws.
  ///
  /// Throws `FileError.cannotWrite`, and whatever `progress` throws; nothing that was written then remains.
  public func write(to folder: String, progress: (Double) throws -> Void = { _ in }) throws {
    let isNew = !FileManager.default.fileExists(atPath: folder)
    do { try writeFiles(into: folder, progress: progress) } catch {
      if isNew { rmdir(folder) }
      throw error
    }
  }

  private func writeFiles(into folder: String, progress: (Double) throws -> Void) throws {
    do {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    } catch {
      throw FileError.cannotWrite(file: folder, reason: error.localizedDescription)
    }
    let writer = try SafetensorsWriter("\(folder)/model.safetensors", entries: entries)
    if isEmpty { try writer.appendZeros() } else { try writeNumbers(to: writer, progress) }
    try writer.finish()
    do {
      try Data(configuration.utf8).write(
        to: URL(fileURLWithPath: "\(folder)/config.json"), options: .atomic)
    } catch {
      unlink("\(folder)/model.safetensors")
      throw FileError.cannotWrite(
        file: "\(folder)/config.json", reason: error.localizedDescription)
    }
  }

  private func writeNumbers(
    to writer: SafetensorsWriter, _ progress: (Double) throws -> Void
  ) throws {
    var generator = SeededGenerator(seed: seed)
    var written = 0
    for entry in entries {
      var rest = entry.shape.reduce(1, *)
      while rest > 0 {
        let count = min(rest, 1 << 20)
        if entry.shape.count == 1 {
          try writer.append(repeatElement(Float(1), count: count))
        } else {
          try append(count, to: writer, &generator)
        }
        rest -= count
        written += count * elementType.blockBytes
        try progress(Double(written) / Double(byteCount))
      }
    }
  }

  /// `count` random weights, each the sum of four 16-bit parts of one draw, with variance 4 · 2³² / 12.
  @inline(never)  // inlined, it crashes the optimiser of Swift 6.3.1
  private func append(
    _ count: Int, to writer: SafetensorsWriter, _ generator: inout SeededGenerator
  ) throws {
    let scale = Float(0.02) / Float(4 * 0x1p32 / 12).squareRoot()
    var numbers = [Float](repeating: 0, count: count)
    for i in 0..<count {
      let bits = generator.next()
      let sum = (bits & 0xFFFF) + (bits >> 16 & 0xFFFF) + (bits >> 32 & 0xFFFF) + (bits >> 48)
      numbers[i] = (Float(sum) - Float(2 * 0xFFFF)) * scale
    }
    guard elementType == .bf16 else { return try writer.append(numbers) }
    // Rounded to nearest; ties are rare.
    let halves = numbers.map { UInt16(truncatingIfNeeded: ($0.bitPattern &+ 0x8000) >> 16) }
    let result = halves.withUnsafeBytes { bytes in Result { try writer.append(stored: bytes) } }
    try result.get()
  }

  private var configuration: String {
    let s = shape
    let type = elementType == .bf16 ? "bfloat16" : elementType == .f16 ? "float16" : "float32"
    return """
      {
        "architectures": ["LlamaForCausalLM"],
        "hidden_act": "silu",
        "hidden_size": \(s.width),
        "intermediate_size": \(s.feedForwardWidth),
        "max_position_embeddings": 8192,
        "model_type": "llama",
        "num_attention_heads": \(s.heads),
        "num_hidden_layers": \(s.layers),
        "num_key_value_heads": \(s.keyValueHeads),
        "rms_norm_eps": 1e-05,
        "rope_theta": \(s.theta),
        "tie_word_embeddings": \(s.isTied),
        "torch_dtype": "\(type)",
        "vocab_size": \(s.vocabulary)
      }

      """
  }
}
