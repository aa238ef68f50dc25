import Foundation

/// What a fit of averaged Jacobians found, as it stands in `result.json` (keys in snake case).
public struct LensRecord: Codable, Sendable {
  /// The version that wrote it.
  public var krylens: String
  /// `lens`.
  public var command: String
  /// Whether every prompt took part.
  public var complete: Bool
  /// The model.
  public var model: ModelRecord
  /// Every option in force.
  public var settings: LensSettings
  /// Where the Jacobians lead.
  public var target: Target
  /// The prompts, in the order given; of a shard, its part of them.
  public var prompts: [Prompt]
  /// The whole list of prompts, by its length and a hash.
  public var promptList: PromptList
  /// Source positions of all prompts together: what the mean is over.
  public var positions: Int
  /// One per source boundary.
  public var layers: [Layer]
  /// Vectors in each direction.
  public var applications: LayerRecord.Applications
  /// Readings of the weights.
  public var passes: Int
  /// Wall-clock seconds.
  public var seconds: Seconds
  /// What computed it; more than one where a fit went on elsewhere.
  public var computedWith: [ProcessorRecord]
  /// Peak resident bytes, mapped weights that were touched included.
  public var peakMemoryBytes: Int
  /// Peak anonymous resident bytes: what is needed beyond the mapped weights.
  public var peakPrivateBytes: Int

  /// The output of the averaged Jacobians.
  public struct Target: Codable, Sendable, Equatable {
    /// The boundary.
    public var layer: Int
    /// What becomes of the output tokens.
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
    /// The tokens; of an image there are none.
    @Nullable public var tokenIds: [Int]?
    /// The tokens the encoder read, in models that have one.
    @Nullable public var encoderTokenIds: [Int]?
    /// Source positions.
    public var positions: Int
  }

  /// The averaged Jacobian of one boundary.
  public struct Layer: Codable, Sendable {
    /// The boundary it begins at.
    public var fromLayer: Int
    /// Triplets that are kept.
    public var rank: Int
    /// σ₁ ≥ σ₂ ≥ ….
    public var singularValues: [Double]
    /// An estimate of ‖J − its part that is kept‖_F; 0 where J itself is kept.
    public var errorEstimate: Double
    /// An estimate of ‖J‖_F; exact where J itself is kept.
    public var frobeniusNorm: Double
    /// √ of the variance of the mean over prompts, summed over all entries; null of a single prompt.
    @Nullable public var standardError: Double?
    /// How far, in ‖·‖_F, two such means over as many other prompts would differ by chance, as the disjoint halves of the prompts
    /// differ; null of a single prompt.
    @Nullable public var noise: Double?
  }

  /// Seconds by part.
  public struct Seconds: Codable, Sendable {
    /// All of it.
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
      throw .unfit(path: path, reason: "its result.json is not that of a lens; \(Self.remedy)")
    }
  }

  private static let remedy = "name a folder that krylens lens fit has written"
}
