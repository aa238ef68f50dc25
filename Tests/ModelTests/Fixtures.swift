import Autodiff
import Checkpoint
import Foundation
import LinearAlgebra
import Testing

@testable import Model

/// A committed checkpoint, in one of its stored forms.
struct Fixture: Sendable, CustomTestStringConvertible {
  enum Form: String, Sendable, CaseIterable {
    /// config.json in its current spelling, and safetensors.
    case folder
    /// The same weights in the spelling of published files: keys, tensor names, additional tables.
    case published
    case gguf
    /// The same numbers as BF16.
    case bfloat16
  }

  let name: String
  let form: Form

  /// All folders of Fixtures/; empty if they cannot be listed, which `ReferenceTests.fixtures` notices.
  static let names: [String] = {
    guard let root = try? fixturePath(""),
      let found = try? FileManager.default.contentsOfDirectory(atPath: root)
    else { return [] }
    return found.filter { isThere("\($0)/expected.json") }.sorted()
  }()

  /// Every checkpoint once.
  static let plain = names.map { Fixture(name: $0, form: .folder) }
  /// Every checkpoint in all of its forms.
  static let all = Form.allCases.flatMap { form in
    names.map { Fixture(name: $0, form: form) }.filter { fixture in
      switch form {
      case .folder, .published: true
      case .gguf: isThere("\(fixture.name)/model.gguf")
      case .bfloat16: isThere("\(fixture.name)/bf16")
      }
    }
  }

  /// Checkpoints whose weights are quantised.
  static let quantized = [
    "fp8-ragged", "fp8-rows", "llm-int8", "mxfp4-packed", "int4-zeros", "awq", "gptq-ordered",
    "nf4-nested",
    "mxfp4-gpt-oss",
  ].map { Fixture(name: "quantized/\($0)", form: .folder) }

  private static func isThere(_ path: String) -> Bool {
    (try? fixturePath(path)).map(FileManager.default.fileExists) ?? false
  }

  var testDescription: String { "\(name), \(form.rawValue)" }

  func load() throws -> any Transformer {
    switch form {
    case .folder: try loadTransformer(CheckpointDirectory(opening: fixturePath(name)))
    case .bfloat16: try loadTransformer(CheckpointDirectory(opening: fixturePath("\(name)/bf16")))
    case .gguf: try loadTransformer(CheckpointDirectory(opening: fixturePath("\(name)/model.gguf")))
    case .published: try Draft(published: name).load()
    }
  }

  func expected() throws -> Expected {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(
      Expected.self, from: Data(contentsOf: URL(filePath: fixturePath("\(name)/expected.json"))))
  }
}

/// The part of expected.json that concerns this module; Fixtures/README.md documents it.
struct Expected: Decodable {
  struct Cross: Decodable {
    let inputToken, outputToken: Int
    let sigma: [[Double]]
  }

  /// The differences of published files.
  struct Published: Decodable {
    let modelType: String
    /// The prefix of names here, and the published one.
    let prefix: [String]
    /// Tables that are not weights, by shape.
    let buffers: [String: [Int]]
  }

  let published: Published?
  let modelType: String
  /// Empty if the prompt is an image.
  let tokenIds: [Int]
  let encoderTokenIds: [Int]?
  let pixelValues: [[[Float]]]?
  /// nil without a head that predicts tokens.
  let lastLogits: [Double]?
  let hiddenNorms, hiddenLastToken: [[Double]]
  let sigmaLast: [[Double]]
  let sigmaAttention, sigmaMlp: [[Double]]?
  let sigmaCross: Cross
  let sigmaLastBlockNormed: [Double]

  var last: Int { hiddenNorms[0].count - 1 }

  var input: ModelInput {
    if let encoderTokenIds { return .decoder(tokenIds, encoder: encoderTokenIds) }
    guard let pixels = pixelValues else { return .tokens(tokenIds) }
    return .image(
      PixelValues(
        channels: pixels.count, height: pixels[0].count, width: pixels[0][0].count,
        values: Array(pixels.joined().joined())))
  }
}

func fixturePath(_ name: String) throws -> String {
  try #require(Bundle.module.resourceURL).appending(path: "Fixtures/\(name)").path()
}

/// A checkpoint to be modified before it is written to a folder of its own and opened.
struct Draft {
  var configuration: [String: Any]
  var tensors: [(entry: SafetensorsWriter.Entry, numbers: [Float])]

  init(of name: String, configuration file: String = "config.json") throws {
    let json = try Data(contentsOf: URL(filePath: fixturePath("\(name)/\(file)")))
    configuration = try #require(JSONSerialization.jsonObject(with: json) as? [String: Any])
    let source = try CheckpointDirectory(opening: fixturePath(name)).tensors
    tensors = try source.tensors.map { info in
      (.init(name: info.name, shape: info.shape), try source.tensor(info.name).numbers())
    }
  }

  /// A draft in the spelling of published files.
  init(published name: String) throws {
    try self.init(of: name, configuration: "config.published.json")
    guard let published = try Fixture(name: name, form: .published).expected().published else {
      return
    }
    let (here, there) = (published.prefix[0], published.prefix[1])
    tensors = tensors.map { entry, numbers in
      let isPrefixed = entry.name.hasPrefix(here)
      let name = isPrefixed ? there + entry.name.dropFirst(here.count) : entry.name
      return (.init(name: name, shape: entry.shape), numbers)
    }
    for (name, shape) in published.buffers.sorted(by: { $0.key < $1.key }) {
      let ones = Array(repeating: Float(1), count: shape.reduce(1, *))
      tensors.append((.init(name: name, shape: shape), ones))
    }
  }

  /// Changes the shape or the numbers of one tensor.
  mutating func alter(
    _ name: String, _ change: (inout [Int], inout [Float]) -> Void
  ) throws {
    let i = try #require(tensors.firstIndex { $0.entry.name == name })
    var (shape, numbers) = (tensors[i].entry.shape, tensors[i].numbers)
    change(&shape, &numbers)
    tensors[i] = (.init(name: name, shape: shape), numbers)
  }

  func load() throws -> any Transformer { try loadTransformer(open()) }

  /// Opens the checkpoint; its folder is removed, but mapped files stay readable.
  func open() throws -> CheckpointDirectory {
    let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try JSONSerialization.data(withJSONObject: configuration)
      .write(to: folder.appending(path: "config.json"))
    try SafetensorsWriter.write(tensors, to: folder.appending(path: "model.safetensors").path())
    return try CheckpointDirectory(opening: folder.path())
  }
}

/// A forward pass with its intermediate results.
struct Path<Scalar: RealScalar> {
  /// The point at every block.
  let points: [BlockPoint<Scalar>]
  /// X⁰ … X^L of every prompt: `states[l][p]` (tokens, width).
  let states: [[Matrix<Scalar>]]
  let logits: Matrix<Scalar>?
  /// The outputs of the prompts' encoders.
  let encoderOutputs: [Variable<Scalar>]

  init(of prompts: [[Int]], through model: some Transformer) throws {
    try self.init(of: prompts.map { .tokens($0) }, through: model)
  }

  init(of prompts: [ModelInput], through model: some Transformer) throws {
    var hidden = try HiddenStates<Scalar>(inputs: prompts, in: model)
    encoderOutputs = hidden.encoderOutputs
    var points: [BlockPoint<Scalar>] = []
    var states = [prompts.indices.map { hidden.states(ofPrompt: $0) }]
    for _ in 0..<model.description.layers {
      points.append(try hidden.advance(through: model))
      states.append(prompts.indices.map { hidden.states(ofPrompt: $0) })
    }
    (self.points, self.states, logits) = (points, states, hidden.logits(of: model))
  }
}

/// The residual function of one block on a whole sequence, X ↦ f(X) (tokens, width), which Jacobians are checked
/// against.
///
/// At the MLP site it is a function of Z instead of X.
func sequenceUpdate(
  _ model: some Transformer, at point: BlockPoint<Double>, _ x: Matrix<Double>, site: JacobianSite,
  normed: Bool, encoderOutputs: [Variable<Double>]
) -> Matrix<Double> {
  let block = model.block(point.layer)
  let context = AttentionContext<Double>(
    prompts: [0..<x.rows], encoderOutputs: encoderOutputs, earlier: point.caches,
    sideInput: point.sideInput)
  let input = Variable(x)
  switch site {
  case .attention: return block.attention(ResidualStream(input), in: context).value
  case .mlp: return block.mlp(input, in: context).value
  case .block:
    let update = block.update(ResidualStream(input), in: context)
    return (normed ? model.finalNorm(input + update) : update).value
  }
}

/// The input of the function of a site: X, or Z for the MLP.
func sequenceInput(
  _ model: some Transformer, at point: BlockPoint<Double>, _ x: Matrix<Double>, site: JacobianSite,
  encoderOutputs: [Variable<Double>]
) -> Matrix<Double> {
  guard site == .mlp, !model.block(point.layer).isParallel else { return x }
  let attended = sequenceUpdate(
    model, at: point, x, site: .attention, normed: false, encoderOutputs: encoderOutputs)
  return (Variable(x) + Variable(attended)).value
}

/// A site, and whether the final norm follows.
struct Site: Sendable, CustomTestStringConvertible {
  let site: JacobianSite
  let normed: Bool
  static let all = [
    Site(site: .block, normed: false), Site(site: .block, normed: true),
    Site(site: .attention, normed: false), Site(site: .mlp, normed: false),
  ]
  var testDescription: String { normed ? "\(site), normed" : "\(site)" }
}

func largest(_ x: some Sequence<some BinaryFloatingPoint>) -> Double {
  x.reduce(0) { $0.isNaN ? $0 : max($0, Double($1.magnitude)) }
}

/// Expects max |x − y| ≤ tolerance · scale, by default the scale of y; NaN fails.
func expectClose<A: BinaryFloatingPoint, B: BinaryFloatingPoint>(
  _ x: [A], _ y: [B], _ tolerance: Double, scale: Double? = nil, _ comment: Comment? = nil,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(x.count == y.count, comment, sourceLocation: sourceLocation)
  let scale = scale ?? largest(y)
  let allowed = tolerance * scale
  var worst = 0.0
  for (a, b) in zip(x, y) {
    let difference = abs(Double(a) - Double(b))
    if !(difference <= worst) { worst = difference }
  }
  #expect(
    worst <= allowed, "\(comment.map { "\($0): " } ?? "")off by \(worst / scale) of \(scale)",
    sourceLocation: sourceLocation)
}
