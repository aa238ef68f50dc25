import Files
import Weights
import Checkpoint
import LinearAlgebra

/// Random weights of a model, as before its training.
struct RandomInitialisation: Sendable {
  private let seed: UInt64
  private let deviation: Double
  private let isTied: Bool
  private let paddingToken: Int?
  private let padsPositions: Bool
  private let exceptions: [(ending: String, Initialiser)]
  /// The canonical names of a GGUF file's tensors, without `.weight` and `.bias` unless these are part of the name.
  private let canonical: [String: String]
  private let isGGUF: Bool

  /// Creates the initialisation of a file's model. Throws `ModelError`.
  init(_ file: ModelFile, seed: UInt64) throws {
    let (c, traits) = (file.configuration, file.family.initialisation)
    self.seed = seed
    deviation = try c.positive(traits.key, default: traits.deviation)
    try c.check(deviation <= 100, traits.key, "must be at most 100")
    isTied = try c.flag("tie_word_embeddings", default: traits.isTied)
    let key = "pad_token_id"
    let stated =
      traits.fixesPadding ? traits.paddingToken : file.paddingToken ?? c.value([key])?.value.int
    paddingToken =
      traits.hasPadding ? stated ?? (c.mentions(key) ? nil : traits.paddingToken) : nil
    padsPositions = traits.padsPositions
    exceptions = try traits.exceptions(file, deviation)
    // If two names refer to one tensor, as in a gated and a plain MLP, both are initialised alike.
    canonical = Dictionary(
      (file.dialect?.names ?? [:]).map { ($1.hasSuffix(".") ? String($1.dropLast()) : $1, $0) },
      uniquingKeysWith: { min($0, $1) })
    isGGUF = file.format == .gguf
  }

  /// Random weights for the model of `file`; its own weights are not read, except for tables computed from the
  /// configuration.
  ///
  /// Types of 16 and 32 bits are kept, and F64 becomes F32. Quantised tensors become BF16: it takes half the space of
  /// F32, and its rounding, by at most 2⁻⁹ of each number, changes a deviation by less than one part in a million.
  /// Throws `FileError.cannotWrite`, `cannotRead`.
  func weights(of source: any TensorSource) throws(FileError) -> any TensorSource {
    try ScratchTensors(replacing: source, types: Self.type, numbers: numbers)
  }

  private static func type(of tensor: TensorInfo) -> ElementType? {
    guard !tensor.isComputed, let type = tensor.elementType else { return nil }
    return switch type {
    case .f32, .f64: .f32
    case .f16: .f16
    default: .bf16
    }
  }

  // MARK: One tensor

  /// The name that identifies a tensor and seeds its numbers, whatever the file calls it: an embedding and a head
  /// tied to it share one.
  private func name(of stored: String) -> String {
    let parts = stored.split(separator: ".", omittingEmptySubsequences: false)
    let block = parts.firstIndex { Int($0) != nil }
    let pattern = parts.enumerated().map { $0 == block ? "#" : $1 }.joined(separator: ".")
    let number = block.map { String(parts[$0]) } ?? ""
    let known = { (pattern: String) in
      canonical[pattern]?.split(separator: "#", omittingEmptySubsequences: false)
        .joined(separator: number)
    }
    if let name = known(pattern) { return name }
    let suffix = [".weight", ".bias"].first { stored.hasSuffix($0) } ?? ""
    let name =
      known(String(pattern.dropLast(suffix.count))) ?? String(stored.dropLast(suffix.count))
    let isEmbedding = TensorInfo.isEmbedding(name, orHead: isTied)
    return (isEmbedding && suffix == ".weight" ? "embedding" : name) + suffix
  }

  /// The initialiser of a tensor, by the name that `name(of:)` returns.
  private func initialiser(of name: String, sides: Int) -> Initialiser {
    let stem = name.hasSuffix(".weight") ? String(name.dropLast(7)) : name
    if let (_, exception) = exceptions.first(where: { stem.hasSuffix($0.ending) }) {
      return exception
    }
    if [".bias", ".beta"].contains(where: { name.hasSuffix($0) }) { return .constant(0) }
    // In GGUF, the gains of heads and the D of state spaces have two dimensions.
    if sides == 1 || stem.hasSuffix("norm") || stem.hasSuffix(".D") { return .constant(1) }
    return .normal(deviation: deviation)
  }

  /// The numbers of a tensor in a range, which depend only on the seed, the name and the range.
  private func numbers(_ tensor: TensorInfo, _ range: Range<Int>) -> [Float] {
    let name = name(of: tensor.name)
    let numbers = numbers(tensor, range, called: name)
    // GGUF files store the rates themselves rather than their logarithms.
    return isGGUF && name.hasSuffix(".A_log")
      ? numbers.map { Float(-Double.exp(Double($0))) } : numbers
  }

  private func numbers(_ tensor: TensorInfo, _ range: Range<Int>, called name: String) -> [Float] {
    switch initialiser(of: name, sides: tensor.shape.count) {
    case .constant(let value): return Array(repeating: value, count: range.count)
    case .uniform(let limit):
      return uniform(count: range.count, name, range.lowerBound) { limit * (2 * $0 - 1) }
    case .countedLogarithms:
      let side = tensor.shape.last { !isGGUF || $0 != 1 } ?? 1
      return range.map { Float(Double.log(Double(1 + $0 % side))) }
    case .logarithms(let bounds):
      return uniform(count: range.count, name, range.lowerBound) {
        Double.log(bounds.lowerBound + (bounds.upperBound - bounds.lowerBound) * $0)
      }
    case .stepBiases(let bounds, let floor):
      return uniform(count: range.count, name, range.lowerBound) {
        let (low, high) = (Double.log(bounds.lowerBound), Double.log(bounds.upperBound))
        let step = max(Double.exp(low + (high - low) * $0), floor)
        // The inverse of softplus.
        return step + Double.log(-Double.expMinusOne(-step))
      }
    case .normal(let deviation, let limit):
      var numbers = normal(deviation, limit, count: range.count, name, range.lowerBound)
      let isPadded =
        name == "embedding.weight"
        || padsPositions && name.hasSuffix("position_embeddings.weight")
      if isPadded, let row = paddingRow(of: tensor) {
        for i in row.clamped(to: range) { numbers[i - range.lowerBound] = 0 }
      }
      return numbers
    }
  }

  private func uniform(
    count: Int, _ name: String, _ start: Int, _ transform: (Double) -> Double
  ) -> [Float] {
    var generator = SeededGenerator(seed: hash(name, start))
    return (0..<count).map { _ in Float(transform(generator.uniform())) }
  }

  private func normal(
    _ deviation: Double, _ limit: Double, count: Int, _ name: String, _ start: Int
  ) -> [Float] {
    var generator = SeededGenerator(seed: hash(name, start))
    return [Float](unsafeUninitializedCapacity: count) { buffer, filled in
      func add(_ number: Double) {
        guard abs(number) <= limit, filled < count else { return }
        buffer[filled] = Float(number)
        filled += 1
      }
      while filled < count {
        let (a, b) = generator.normalPair()
        add(deviation * a)
        add(deviation * b)
      }
    }
  }

  /// The range of the padding token's numbers in an embedding; a negative token counts from the end.
  private func paddingRow(of embedding: TensorInfo) -> Range<Int>? {
    guard let token = paddingToken, embedding.shape.count == 2 else { return nil }
    let (rows, columns) = (embedding.shape[0], embedding.shape[1])
    guard (-rows..<rows).contains(token) else { return nil }
    let row = token < 0 ? token + rows : token
    return row * columns..<(row + 1) * columns
  }

  /// FNV-1a hash, 64 bits, of seed, position and name.
  private func hash(_ name: String, _ start: Int) -> UInt64 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    func add(_ bytes: some Sequence<UInt8>) {
      for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    }
    withUnsafeBytes(of: seed.littleEndian) { add($0) }
    withUnsafeBytes(of: UInt64(start).littleEndian) { add($0) }
    add(name.utf8)
    return hash
  }
}
