public import Foundation

/// A tiny checkpoint of Tests/ModelTests/Fixtures, with what it must give.
public struct ModelFixture: Sendable, CustomStringConvertible {
  /// Its folder's name.
  public let name: String
  /// The same, for reports.
  public var description: String { name }

  /// The fixture of this name.
  public init(_ name: String) { self.name = name }

  /// All that have a folder, a GGUF file and expectations.
  public static let all = ["llama", "llama3-rope", "mistral", "llama-biased", "odd"]
    .map(ModelFixture.init)

  private static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent()

  /// A committed file or folder of Tests/.
  public static func path(_ relative: String) -> String {
    root.appendingPathComponent(relative).path
  }

  /// config.json and safetensors.
  public var folder: String { Self.path("ModelTests/Fixtures/\(name)") }
  /// The same weights.
  public var gguf: String { "\(folder)/model.gguf" }

  /// expected.json.
  public func expected() throws -> ExpectedValues {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    let data = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/expected.json"))
    return try decoder.decode(ExpectedValues.self, from: data)
  }
}

/// What a fixture must give, computed in float64 by an independent implementation (see the fixtures' README).
public struct ExpectedValues: Decodable, Sendable {
  /// The prompt.
  public let tokenIds: [Int]
  /// Logits after the last token.
  public let lastLogits: [Double]
  /// ‖x‖ (L + 1, tokens).
  public let hiddenNorms: [[Double]]
  /// σ (L, d) of the last token's Jacobians.
  public let sigmaLast: [[Double]]
  /// Those of the attention half.
  public let sigmaAttention: [[Double]]
  /// Those of the MLP half.
  public let sigmaMlp: [[Double]]
  /// σ (d) of the last block after the final norm.
  public let sigmaLastBlockNormed: [Double]
  /// σ (L, d) from one token to another.
  public let sigmaCross: Cross
  /// One a token.
  public let lineShapeScore: [Double]
  /// One a token, the mean over blocks.
  public let growth: [Double]
  /// One a token.
  public let expodistance: [Double]
  /// 1 − m, frobenius, at the ranks 3 and 6.
  private let couplingSignedK3: [[Double]]
  private let couplingSignedK6: [[Double]]
  private let couplingAbsK3: [[Double]]
  private let couplingAbsK6: [[Double]]
  private let couplingCrossedSignedK3: [[Double]]
  private let couplingCrossedSignedK6: [[Double]]
  private let couplingCrossedAbsK3: [[Double]]
  private let couplingCrossedAbsK6: [[Double]]

  /// A pair of tokens.
  public struct Cross: Decodable, Sendable {
    /// From, counted from 0.
    public let inputToken: Int
    /// To.
    public let outputToken: Int
    /// σ (L, d).
    public let sigma: [[Double]]
  }

  /// 1 − m, frobenius: row = Jacobian i, column = basis of j. Precondition: `rank` is 3 or 6.
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
