import Files
import Weights
@testable import Checkpoint
import Foundation
import LinearAlgebra
import TestSupport
import Testing

@testable import Model

/// The initialisation of a fixture's tensors by transformers, from initialisation.json.
struct ExpectedInitialisation: Decodable {
  struct Kind: Decodable {
    /// The value of all numbers, or the deviation of normal ones, or the bound of uniform ones.
    let constant, deviation, uniform: Double?
    /// The bound beyond which normal numbers are drawn again.
    let limit: Double?
    /// The values in order, or the bounds that they lie between.
    let values: [Double]?
    let low, high: Double?
    /// The row of the embedding that is zero.
    let zeroRow: Int?
    let names: [String]
  }

  let folder, changed: [Kind]
  let gguf: [Kind]?
  /// The keys in config.json for which `changed` is expected.
  let keys: [String: Double]

  static let all = Result {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(
      [String: ExpectedInitialisation].self,
      from: Data(contentsOf: URL(filePath: fixturePath("initialisation.json"))))
  }
}

/// A fixture in one of the forms with a known initialisation.
struct UntrainedModel: Sendable, CustomTestStringConvertible {
  enum Form: String, CaseIterable { case folder, changed, gguf }

  let name: String
  let form: Form

  static let all = Fixture.names.flatMap { name in
    Form.allCases.map { UntrainedModel(name: name, form: $0) }.filter {
      $0.form != .gguf || (try? $0.ggufPath) != nil && !name.hasPrefix("falcon_h1")
    }
  }

  var testDescription: String { "\(name), \(form.rawValue)" }

  private var ggufPath: String? {
    get throws {
      try ["model", "altered"].map { try fixturePath("\(name)/\($0).gguf") }
        .first { FileManager.default.fileExists(atPath: $0) }
    }
  }

  func expected() throws -> ExpectedInitialisation {
    try #require(try ExpectedInitialisation.all.get()[name])
  }

  /// The expected initialisation of a tensor, by a name in which the number of its block is left open.
  func kinds() throws -> (String) -> ExpectedInitialisation.Kind? {
    let expected = try expected()
    let kinds =
      switch form {
      case .folder: expected.folder
      case .changed: expected.changed
      case .gguf: try #require(expected.gguf)
      }
    var table: [String: ExpectedInitialisation.Kind] = [:]
    for kind in kinds { for name in kind.names { table[name] = kind } }
    return { table[$0.replacing(/\.\d+\./, with: ".#.", maxReplacements: 1)] }
  }

  func file() throws -> ModelFile {
    guard form != .gguf else {
      return try ModelFile(CheckpointDirectory(opening: try #require(try ggufPath)))
    }
    guard form == .changed else {
      return try ModelFile(CheckpointDirectory(opening: fixturePath(name)))
    }
    var draft = try Draft(of: name)
    for (key, value) in try expected().keys {
      draft.configuration[key] = Int(exactly: value).map { $0 as Any } ?? value
    }
    return try ModelFile(draft.open())
  }

  func random(seed: UInt64) throws -> ModelFile {
    let file = try file()
    return try file.initialised(seed: seed)
  }
}

extension TensorSource {
  fileprivate func numbers(_ name: String) throws -> [Float] { try tensor(name).numbers() }
}

/// Numbers that should be normal with mean 0, collected in units of their expected deviation.
private struct Sample {
  var (count, sum, squares, inside) = (0.0, 0.0, 0.0, 0.0)
  /// The distribution that is expected.
  var shape = Shape.normal

  /// Distributions with deviation 1 before truncation.
  enum Shape: Equatable {
    case normal
    case cutOff(at: Double)
    case uniform

    /// E x², E x⁴, and the share within ±1.
    var moments: (second: Double, fourth: Double, share: Double) {
      switch self {
      case .normal: return (1, 3, 0.6826894921)
      case .uniform: return (1, 9 / 5, 1 / 3.0.squareRoot())
      case .cutOff(let c):
        // By parts, with the density φ and the remaining probability Z: E x² = 1 − 2cφ/Z, E x⁴ = 3 E x² − 2c³φ/Z.
        let z = erf(c / 2.0.squareRoot())
        let tail = 2 * c * exp(-c * c / 2) / (2 * Double.pi).squareRoot() / z
        return (1 - tail, 3 * (1 - tail) - c * c * tail, 0.6826894921 / z)
      }
    }
  }

  mutating func add(_ numbers: [Float], _ kind: ExpectedInitialisation.Kind) {
    if let uniform = kind.uniform {
      #expect(numbers.allSatisfy { abs(Double($0)) <= uniform * (1 + 1e-5) })
      shape = .uniform
      return add(numbers, deviation: uniform / 3.0.squareRoot())
    }
    guard let deviation = kind.deviation else { return }
    if let limit = kind.limit {
      #expect(numbers.allSatisfy { abs(Double($0)) <= limit * (1 + 1e-5) })
      shape = .cutOff(at: limit / deviation)
    }
    add(numbers, deviation: deviation)
  }

  mutating func add(_ numbers: [Float], deviation: Double) {
    for number in numbers {
      let x = Double(number) / deviation
      count += 1
      sum += x
      squares += x * x
      inside += abs(x) < 1 ? 1 : 0
    }
  }

  /// Checks the mean, the moments and the share within ±1 of the expected distribution, each to 5 standard errors: (E
  /// x²/N)^½, ((E x⁴ − (E x²)²)/N)^½, (p(1 − p)/N)^½.
  func expectShape(
    _ comment: Comment, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let (second, fourth, share) = shape.moments
    #expect(
      abs(sum / count) <= 5 * (second / count).squareRoot(), comment,
      sourceLocation: sourceLocation)
    #expect(
      abs(squares / count - second) <= 5 * ((fourth - second * second) / count).squareRoot(),
      comment, sourceLocation: sourceLocation)
    #expect(
      abs(inside / count - share) <= 5 * (share * (1 - share) / count).squareRoot(), comment,
      sourceLocation: sourceLocation)
  }
}

@Suite struct InitialisationTests {
  @Test func everyFixtureIsExpected() throws {
    #expect(try ExpectedInitialisation.all.get().keys.sorted() == Fixture.names)
  }

  /// Every tensor separately, with many seeds to make up for its small size, and all tensors of a model together.
  @Test(arguments: UntrainedModel.all) func asTransformers(_ model: UntrainedModel) throws {
    let kind = try model.kinds()
    var (samples, everything) = ([String: Sample](), Sample())
    for seed in 0..<16 as Range<UInt64> {
      let source = try model.random(seed: seed).tensors
      for info in source.tensors where !info.isComputed {
        let expected = try #require(kind(info.name), "\(info.name)")
        var numbers = try source.numbers(info.name)
        if let constant = expected.constant {
          #expect(numbers.allSatisfy { $0 == Float(constant) }, "\(info.name)")
        }
        if let values = expected.values {
          expectClose(numbers, values, 1e-6, "\(info.name)")
        }
        if let low = expected.low, let high = expected.high {
          // Up to rounding of the bounds.
          let margin = 1e-5 * (high - low)
          #expect(
            numbers.allSatisfy { (low - margin...high + margin).contains(Double($0)) },
            "\(info.name)")
          #expect(2 * Set(numbers).count > numbers.count, "\(info.name)")
        }
        guard expected.deviation != nil || expected.uniform != nil else { continue }
        if let row = expected.zeroRow {
          let width = info.shape[1]
          #expect(numbers[row * width..<(row + 1) * width].allSatisfy { $0 == 0 }, "\(info.name)")
          numbers.removeSubrange(row * width..<(row + 1) * width)
        }
        #expect(numbers.allSatisfy { $0 != 0 }, "\(info.name)")
        samples[info.name, default: Sample()].add(numbers, expected)
        if let deviation = expected.deviation, expected.limit == nil {
          everything.add(numbers, deviation: deviation)
        }
      }
    }
    for (name, sample) in samples { sample.expectShape("\(name)") }
    // Some families have no tensors that are simply normal.
    if everything.count > 0 { everything.expectShape("all tensors") }
  }

  /// The untrained twin is a model like any other, whatever the file's own weights are.
  @Test(arguments: Fixture.names) func runs(_ name: String) throws {
    var draft = try Draft(of: name)
    for i in draft.tensors.indices {
      draft.tensors[i].numbers = draft.tensors[i].numbers.map { _ in .nan }
    }
    let model = try loadTransformer(draft.open(), randomSeed: 1)
    let input = try Fixture(name: name, form: .folder).expected().input
    let path = try Path<Float>(of: [input], through: model)
    #expect(path.states.joined().allSatisfy { $0.elements.allSatisfy(\.isFinite) })
  }

  /// Falcon-H1's stored weights include factors that GGUF files do not state.
  @Test func factorsUnknown() throws {
    let file = try UntrainedModel(name: "falcon_h1", form: .gguf).file()
    let error = #expect(throws: ModelError.self) { try file.initialised(seed: 0) }
    #expect(error?.description.contains("falcon-h1") == true)
  }

  // MARK: Dependence of the numbers

  @Test func seeds() throws {
    let model = UntrainedModel(name: "llama", form: .folder)
    let (a, b, c) = (
      try model.random(seed: 3).tensors, try model.random(seed: 3).tensors,
      try model.random(seed: 4).tensors
    )
    for info in a.tensors where info.shape.count > 1 {
      #expect(try a.numbers(info.name) == b.numbers(info.name))
      #expect(try zip(a.numbers(info.name), c.numbers(info.name)).allSatisfy { $0 != $1 })
    }
  }

  /// The numbers depend on a tensor's name and the seed, not on its position in the file or the format.
  @Test(arguments: ["llama", "lfm2", "mamba", "mamba2", "nemotron_h-dense"])
  func formats(_ name: String) throws {
    let folder = try UntrainedModel(name: name, form: .folder).random(seed: 3).tensors
    let gguf = try UntrainedModel(name: name, form: .gguf).random(seed: 3)
    let names = gguf.weights(prefix: "", alternatives: [], probe: "")
    for name in folder.tensors.map(\.name) {
      let (here, there) = (
        try folder.numbers(name), try gguf.tensors.numbers(names.storedName(name))
      )
      let isLogarithm = name.hasSuffix("A_log")
      #expect((isLogarithm ? here.map { Float(-exp(Double($0))) } : here) == there, "\(name)")
    }
  }

  /// A head that is tied to the embedding equals it, also if a file stores both.
  @Test(arguments: [("gemma", "model.embed_tokens"), ("gpt2", "transformer.wte"), ("t5", "shared")])
  func tiedHead(_ name: String, _ embedding: String) throws {
    var draft = try Draft(of: name)
    let (entry, numbers) = try #require(
      draft.tensors.first { $0.entry.name == "\(embedding).weight" })
    draft.tensors.append((.init(name: "lm_head.weight", shape: entry.shape), numbers))
    for isTied in [true, false] {
      draft.configuration["tie_word_embeddings"] = isTied
      let file = try ModelFile(draft.open())
      let random = try file.initialised(seed: 5).tensors
      let (head, words) = (try random.numbers("lm_head.weight"), try random.numbers(entry.name))
      #expect((head == words) == isTied)
    }
  }

  // MARK: Tables

  /// Tables that follow from the configuration are not random.
  @Test func computedTables() throws {
    let model = UntrainedModel(name: "llama3-rope", form: .gguf)
    let (random, file) = (try model.random(seed: 0).tensors, try model.file().tensors)
    #expect(try random.numbers("rope_freqs.weight") == file.numbers("rope_freqs.weight"))
  }

  /// Tensors of every stored type, one of them in several pieces.
  private struct Table: TensorSource {
    let path = "table"
    let tensors: [TensorInfo]
    init(_ tensors: [(name: String, shape: [Int], type: ElementType?)]) {
      self.tensors = tensors.map {
        TensorInfo(
          name: $0.name, shape: $0.shape, typeName: $0.type?.name ?? "I64", elementType: $0.type,
          byteRange: 0..<0)
      }
    }
    func info(_ name: String) -> TensorInfo? { tensors.first { $0.name == name } }
    func tensor(_ name: String) throws(FileError) -> StoredTensor {
      throw .missingTensor(file: "", tensor: name)
    }
    func checkIntact() {}
  }

  private func random(_ table: Table, keys: [String: Any] = [:]) throws -> any TensorSource {
    var draft = try Draft(of: "llama")
    draft.configuration.merge(keys) { $1 }
    let file = try ModelFile(draft.open())
    return try RandomInitialisation(file, seed: 7).weights(of: table)
  }

  @Test func storedTypes() throws {
    let kept: [ElementType: ElementType] = [.f32: .f32, .f64: .f32, .f16: .f16]
    var entries: [(name: String, shape: [Int], type: ElementType?)] = [("ids", [2], nil)]
    for type in ElementType.allCases { entries.append(("\(type).weight", [3, 256], type)) }
    let source = try random(Table(entries))
    for type in ElementType.allCases {
      let info = try #require(source.info("\(type).weight"))
      let expected = kept[type] ?? .bf16
      #expect(info.elementType == expected && info.typeName == expected.name)
      #expect(try source.tensor(info.name).elementType == expected)
      #expect(info.byteRange.count == 768 * expected.blockBytes)
    }
    #expect(source.tensors.count == ElementType.allCases.count + 1)
    #expect(source.info("ids")?.elementType == nil)
    #expect(throws: FileError.self) { try source.tensor("ids") }
  }

  /// Pieces are drawn separately and do not repeat; the padding row may extend across two.
  @Test(arguments: [1, -2]) func pieces(_ padding: Int) throws {
    let (rows, width) = (3, ScratchTensors.pieceLength * 3 / 4)
    let table = Table([("model.embed_tokens.weight", [rows, width], .f32)])
    var numbers = try random(table, keys: ["pad_token_id": padding])
      .numbers("model.embed_tokens.weight")
    #expect(numbers[width..<2 * width].allSatisfy { $0 == 0 })
    numbers.removeSubrange(width..<2 * width)
    #expect(numbers.allSatisfy { $0 != 0 } && Set(numbers.prefix(1000)).count == 1000)
    #expect(numbers[0] != numbers[ScratchTensors.pieceLength])
    var sample = Sample()
    sample.add(numbers, deviation: 0.02)
    sample.expectShape("\(numbers.count) numbers")
  }

  /// A padding token outside the embedding counts as none.
  @Test(arguments: [-4, 3, 1 << 40]) func paddingElsewhere(_ padding: Int) throws {
    let table = Table([("model.embed_tokens.weight", [3, 64], .f32)])
    let numbers = try random(table, keys: ["pad_token_id": padding])
      .numbers("model.embed_tokens.weight")
    #expect(numbers.allSatisfy { $0 != 0 })
  }

  /// Names in old files: a bias is 0 and a gain 1 under either name.
  @Test func oldNames() throws {
    let source = try random(
      Table([("a.LayerNorm.gamma", [9], .f32), ("a.LayerNorm.beta", [9], .f32)]))
    #expect(try source.numbers("a.LayerNorm.gamma").allSatisfy { $0 == 1 })
    #expect(try source.numbers("a.LayerNorm.beta").allSatisfy { $0 == 0 })
  }

  @Test(arguments: [-0.02, 0, 101, "x"] as [any Sendable & CustomStringConvertible])
  func hostileDeviation(_ value: any Sendable & CustomStringConvertible) throws {
    #expect(throws: ModelError.self) {
      try random(Table([]), keys: ["initializer_range": value])
    }
  }

  /// ViT's positions are truncated at ±2, whatever the deviation; other tensors are not.
  @Test func truncation() throws {
    var draft = try Draft(of: "vit")
    draft.configuration["initializer_range"] = 2
    let file = try ModelFile(draft.open())
    let random = try file.initialised(seed: 0).tensors
    let numbers = try random.numbers("embeddings.position_embeddings")
    #expect(numbers.allSatisfy { abs($0) <= 2 })
    // For a normal distribution truncated at ±1 deviation, x² has the mean 0.29113 and a deviation of 0.970 times
    // that.
    let mean = numbers.reduce(0) { $0 + Double($1 * $1) } / Double(numbers.count)
    #expect(abs(mean / (4 * 0.29113) - 1) <= 5 * 0.970 / Double(numbers.count).squareRoot())
    #expect(
      try random.numbers("encoder.layer.0.intermediate.dense.weight").contains { abs($0) > 2 })
  }
}
