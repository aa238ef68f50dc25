import Foundation

/// The results of a fit of averaged Jacobians as written in `result.json` (keys in snake case).
public struct LensRecord: Codable, Sendable {
  /// The version of Krylens that wrote the record.
  public var krylens: String
  /// The command, `lens`.
  public var command: String
  /// Whether every prompt took part.
  public var complete: Bool
  /// The model.
  public var model: ModelRecord
  /// All settings in effect.
  public var settings: LensSettings
  /// The output of the Jacobians.
  public var target: Target
  /// The prompts, in the order given; for a shard, its part of them.
  public var prompts: [Prompt]
  /// The whole list of prompts, by its length and a hash.
  public var promptList: PromptList
  /// The number of source positions of all prompts together, over which the mean is taken.
  public var positions: Int
  /// One per source boundary.
  public var layers: [Layer]
  /// The number of vectors applied in each direction.
  public var applications: LayerRecord.Applications
  /// Passes over the weights.
  public var passes: Int
  /// Wall-clock seconds.
  public var seconds: Seconds
  /// The kinds of processor that computed it; more than one if the fit was resumed elsewhere.
  public var computedWith: [ProcessorRecord]
  /// Peak resident bytes, including mapped weights that were read.
  public var peakMemoryBytes: Int
  /// Peak anonymous resident bytes: the memory needed besides the mapped weights.
  public var peakPrivateBytes: Int

  /// The output of the averaged Jacobians.
  public struct Target: Codable, Sendable, Equatable {
    /// The boundary.
    public var layer: Int
    /// How the output tokens are combined.
    public var reduce = "sum"
  }

  /// A prompt.
  public struct Prompt: Codable, Sendable, IdentifiedPrompt {
    /// The text, if it was given as text.
    @Nullable public var text: String?
    /// The image, if it was one.
    @Nullable public var image: String?
    /// A hash of the image's pixel values, if it was one.
    @Nullable public var imageHash: String?
    /// The tokens; nil for an image.
    @Nullable public var tokenIds: [Int]?
    /// The tokens the encoder read, in models that have one.
    @Nullable public var encoderTokenIds: [Int]?
    /// The number of source positions.
    public var positions: Int
  }

  /// The averaged Jacobian of one boundary.
  public struct Layer: Codable, Sendable {
    /// The boundary where it begins.
    public var fromLayer: Int
    /// The number of triplets kept.
    public var rank: Int
    /// σ₁ ≥ σ₂ ≥ ….
    public var singularValues: [Double]
    /// An estimate of ‖J − Ĵ‖_F, Ĵ being the part of J that is kept; 0 if J itself is kept.
    public var errorEstimate: Double
    /// An estimate of ‖J‖_F; exact if J itself is kept.
    public var frobeniusNorm: Double
    /// The square root of the variance of the mean over prompts, summed over all entries; null for a single prompt.
    @Nullable public var standardError: Double?
    /// The expected ‖·‖_F of the difference between two such means over as many other prompts, estimated from disjoint halves of
    /// the prompts; null for a single prompt.
    @Nullable public var noise: Double?
  }

  /// Seconds by part.
  public struct Seconds: Codable, Sendable {
    /// The whole fit.
    public var total: Double
    /// Opening the model and tokenizing.
    public var load: Double
    /// The pass that samples the ranges.
    public var range: Double
    /// The pass over all prompts.
    public var fit: Double
  }
}

extension LensRecord {
  /// The bytes of `result.json`.
  public func json() throws -> Data { try recordJSON(self) }

  /// Reads `result.json` of a folder. Throws `RunError.unfit`.
  public init(folder path: String) throws(RunError) {
    guard let data = FileManager.default.contents(atPath: "\(path)/result.json") else {
      throw .unfit(path: path, reason: "holds no result.json; \(Self.remedy)")
    }
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    do {
      self = try decoder.decode(LensRecord.self, from: data)
    } catch {
      throw .unfit(path: path, reason: "its result.json is not a lens's; \(Self.remedy)")
    }
  }

  private static let remedy = "name a folder that krylens lens fit has written"
}
