public import Foundation

/// A tiny checkpoint in Tests/ModelTests/Fixtures, with its expected results.
public struct ModelFixture: Sendable, CustomStringConvertible {
  /// The name of the fixture's folder.
  public let name: String
  /// The name, for test reports.
  public var description: String { name }

  /// The fixture of this name.
  public init(_ name: String) { self.name = name }

  /// The Llama fixtures, which all have a folder, a GGUF file and expected values.
  public static let all = ["llama", "llama3-rope", "mistral", "llama-biased", "odd"]
    .map(ModelFixture.init)

  private static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent()

  /// The path of a file or folder in Tests/.
  public static func path(_ relative: String) -> String {
    root.appendingPathComponent(relative).path
  }

  /// The path of the folder with config.json and safetensors.
  public var folder: String { Self.path("ModelTests/Fixtures/\(name)") }
  /// The path of the GGUF file with the same weights.
  public var gguf: String { "\(folder)/model.gguf" }

  /// Reads expected.json.
  public func expected() throws -> ExpectedValues {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    let data = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/expected.json"))
    return try decoder.decode(ExpectedValues.self, from: data)
  }
}

/// The expected results of a fixture, computed in float64 by an independent implementation (see the fixtures' README).
public struct ExpectedValues: Decodable, Sendable {
  /// The token ids of the prompt.
  public let tokenIds: [Int]
  /// The logits after the last token.
  public let lastLogits: [Double]
  /// The norms ‖x‖ of the hidden states, (L + 1, tokens).
  public let hiddenNorms: [[Double]]
  /// The singular values of the last token's residual Jacobians, (L, d).
  public let sigmaLast: [[Double]]
  /// The singular values of the last token's Jacobians of the attention half, (L, d).
  public let sigmaAttention: [[Double]]
  /// The singular values of the last token's Jacobians of the MLP half, (L, d).
  public let sigmaMlp: [[Double]]
  /// The singular values of the last block followed by the final norm, minus the identity, (d).
  public let sigmaLastBlockNormed: [Double]
  /// The singular values of the Jacobians from one token to another.
  public let sigmaCross: Cross
  /// The line-shape score of each token.
  public let lineShapeScore: [Double]
  /// The growth of each token, averaged over blocks.
  public let growth: [Double]
  /// The expodistance of each token.
  public let expodistance: [Double]
  /// Couplings 1 − m with Frobenius normalisation, at ranks 3 and 6.
  private let couplingSignedK3: [[Double]]
  private let couplingSignedK6: [[Double]]
  private let couplingAbsK3: [[Double]]
  private let couplingAbsK6: [[Double]]
  private let couplingCrossedSignedK3: [[Double]]
  private let couplingCrossedSignedK6: [[Double]]
  private let couplingCrossedAbsK3: [[Double]]
  private let couplingCrossedAbsK6: [[Double]]

  /// The Jacobians from one token to another.
  public struct Cross: Decodable, Sendable {
    /// The input token, counted from 0.
    public let inputToken: Int
    /// The output token, counted from 0.
    public let outputToken: Int
    /// The singular values, (L, d).
    public let sigma: [[Double]]
  }

  /// The couplings 1 − m with Frobenius normalisation (L, L): row = Jacobian i, column = basis of j. Precondition: `rank` is
  /// 3 or 6.
  public func coupling(rank: Int, absolute: Bool, crossed: Bool) -> [[Double]] {
    precondition(rank == 3 || rank == 6, "no expectations at rank \(rank)")
    return switch (rank, absolute, crossed) {
    case (3, false, false): couplingSignedK3
    case (3, true, false): couplingAbsK3
    case (3, false, true): couplingCrossedSignedK3
    case (3, true, true): couplingCrossedAbsK3
    case (_, false, false): couplingSignedK6
    case (_, true, false): couplingAbsK6
    case (_, false, true): couplingCrossedSignedK6
    case (_, true, true): couplingCrossedAbsK6
    }
  }
}
