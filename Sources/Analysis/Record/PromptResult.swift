import Alignment
import LinearAlgebra
import Model

/// The results for one prompt. Its tables are made one by one on request.
public struct PromptResult {
  /// The record without its tables.
  public let outline: PromptRecord
  /// The position of the prompt in the manifest.
  let index: Int
  /// Whether the prompt is finished: every triplet, every coupling and the path are known, or the reason why not.
  let isComplete: Bool
  /// Whether any result is known.
  let isBegun: Bool
  private let settings: RunSettings?
  private let tables: CouplingTables?

  /// The first block of the 1/σ₁ fit, as in the authors' code; if fewer than `fewestFitted` remain, the fit starts at 1.
  private static let fitStart = 10
  /// The fewest blocks for a fit: a line through fewer points shows no trend.
  private static let fewestFitted = 5

  /// The result of what the journal holds for a prompt, complete or not. `blocks` are those whose triplets are known; couplings
  /// are used only if they are known for all of the run's blocks.
  init(
    _ manifest: RunManifest, _ header: PromptHeader, index: Int, path: PathRecord?,
    jacobians: Range<Int>, blocks: [KeptBlock]
  ) throws {
    self.index = index
    settings = manifest.settings
    let hasAll =
      blocks.count == manifest.layers.count
      && blocks.allSatisfy { block in
        block.frobeniusNorms?[jacobians].allSatisfy { $0 != nil } ?? false
      }
    isComplete = hasAll && path != nil
    isBegun = !blocks.isEmpty
    var outline = PromptRecord(header)
    var leading: [Double] = []
    for block in blocks {
      for (tokens, jacobian) in zip(header.selections, jacobians) {
        let found = try block.triplets(jacobian, hasVectors: false)
        outline.layers.append(
          LayerRecord(
            layer: block.layer, tokens, found, width: manifest.model.width, seconds: block.seconds,
            frobeniusNorm: hasAll ? block.frobeniusNorms?[jacobian] : nil,
            precision: block.precisions[jacobian], noise: block.noise(of: jacobian)))
        // With several tokens the last one stands for the prompt.
        if jacobian == jacobians.last { leading.append(found.singularValues.first ?? 0) }
      }
    }
    outline.nextTokenId = path?.nextTokenId
    outline.nextToken = path?.nextToken
    outline.trajectory = path?.trajectory ?? .nothing
    outline.inverseLeadingFit = Self.fit(blocks.map(\.layer), leading)
    self.outline = outline
    tables =
      hasAll
      ? CouplingTables(manifest, header.selections, jacobians: jacobians, blocks: blocks) : nil
  }

  /// Passes every table in these readings; by default in all that are recorded, the combinations of sign, normalisation and
  /// computed form at each rank.
  func forEachCoupling(
    _ readings: [CouplingSetting]? = nil, _ body: (CouplingMatrix) throws -> Void
  ) throws {
    guard let tables, let settings else { return }
    let readings =
      readings
      ?? settings.ranks.flatMap {
        CouplingSetting.combinations(rank: $0, forms: settings.form.computed)
      }
    for table in tables.tables { try tables.forEachScore(of: table, readings, body) }
  }

  /// Passes the overlap of every table's subspaces at each rank.
  func forEachOverlap(_ body: (OverlapRecord) throws -> Void) throws {
    guard let tables, let settings else { return }
    for table in tables.tables {
      try tables.overlaps(of: table, ranks: settings.ranks).forEach(body)
    }
  }

  /// The record with all its tables.
  public func record() throws -> PromptRecord {
    var record = outline
    try forEachCoupling { record.coupling.append($0) }
    try forEachOverlap { record.overlap.append($0) }
    return record
  }

  /// The result of a prompt that failed.
  init(_ header: PromptHeader, index: Int, _ lost: LostPrompt) {
    (self.index, isComplete, isBegun, settings, tables) = (index, true, true, nil, nil)
    var record = PromptRecord(header)
    record.failed = lost.failure(number: index + 1, text: header.text)
    outline = record
  }

  /// The fit to the last token's Jacobians.
  private static func fit(_ layers: [Int], _ leading: [Double]) -> InverseLeadingFit? {
    let start = layers.count { $0 >= fitStart } >= fewestFitted ? fitStart : 1
    guard layers.count >= fewestFitted else { return nil }
    return SpectrumShape.inverseLeadingFit(leading: leading, layers: layers, from: start).map {
      InverseLeadingFit(
        start: start, slope: $0.slope, intercept: $0.intercept, rSquared: $0.rSquared)
    }
  }
}

extension PromptRecord {
  /// The record of a prompt about which nothing is known yet.
  fileprivate init(_ header: PromptHeader) {
    self.init(
      text: header.text, image: header.image, imageHash: header.imageHash,
      tokenIds: header.tokenIds, tokens: header.tokens, encoderTokenIds: header.encoderTokenIds,
      nextTokenId: nil, nextToken: nil, layers: [], coupling: [], overlap: [], trajectory: .nothing,
      inverseLeadingFit: nil, failed: nil)
  }
}

extension LayerRecord {
  /// The record of one Jacobian's triplets.
  fileprivate init(
    layer: Int, _ tokens: TokenSelection, _ t: SingularTriplets, width: Int, seconds: Double,
    frobeniusNorm: FrobeniusNorm?, precision: ProductPrecision, noise: OperatorNoise?
  ) {
    var remedy: String?
    if case .stopped(let stop) = t.report.outcome { remedy = stop.advice.description }
    self.init(
      layer: layer, fromToken: tokens.source, toToken: tokens.target,
      singularValues: t.singularValues, residualNorms: t.residualNorms,
      converged: t.report.isConverged, remedy: remedy,
      relativeGaps: SpectrumShape.relativeGaps(t.singularValues), frobeniusNorm: frobeniusNorm,
      solver: t.report.solver, blockSize: t.report.blockSize,
      applications: .init(jvp: t.report.applications.jvp, vjp: t.report.applications.vjp),
      passes: t.report.applications.passes, seconds: seconds, precision: precision, noise: noise)
    addBounds(of: t, noise: noise, dimension: width)
  }
}

extension TrajectoryRecord {
  /// The record of a path that has not been followed to the end.
  static var nothing: TrajectoryRecord {
    TrajectoryRecord(
      norms: [], lineShapeScore: [], zeroSteps: [], growth: [], expodistance: [],
      linearisedPathCosine: nil, picture: nil)
  }
}
