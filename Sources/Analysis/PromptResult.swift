import Alignment
import LinearAlgebra
import Model

/// What was found on one prompt: its record, and the coupling as it is to be shown.
public struct PromptResult: Sendable {
  /// For `result.json`.
  public let record: PromptRecord
  /// The coupling that is to be shown, at each rank: sign, normalisation, form and score as in the settings.
  public let shown: [CouplingMatrix]
  /// The prompt among the manifest's.
  let index: Int
  /// Whether all there will be is there: every triplet, every coupling and the path, or the reason why not.
  let isComplete: Bool
  /// Whether anything is there.
  let isBegun: Bool

  /// The first block of the 1/σ₁ fit, as in the authors' code; where fewer than `fewestFitted` remain, it starts at 1.
  private static let fitStart = 10
  /// A line through fewer points says nothing of a trend.
  private static let fewestFitted = 5

  /// Collects what the journal holds of a prompt, all of it or less. `solved` lists the blocks whose triplets are known,
  /// as positions among the run's; couplings count only if they are there for all blocks.
  init(
    _ manifest: RunManifest, _ header: PromptHeader, index: Int, path: PathRecord?,
    solved: [(block: Int, triplets: [SingularTriplets], seconds: Double)],
    couplings: [[JacobianCouplings]]?
  ) {
    self.index = index
    let settings = manifest.settings
    let hasAll = solved.count == manifest.layers.count && couplings != nil
    let couplings = hasAll ? couplings : nil
    isComplete = hasAll && path != nil
    isBegun = !solved.isEmpty
    let layers = solved.flatMap { block, triplets, seconds in
      zip(header.selections, triplets).enumerated().map { s, found in
        LayerRecord(
          layer: manifest.layers[block], found.0, found.1, seconds: seconds,
          frobeniusNorm: couplings?[block][s].frobeniusNorm)
      }
    }
    let tables = couplings.map {
      CouplingTables(
        manifest, header.selections, triplets: solved.map(\.triplets), couplings: $0)
    }
    shown = settings.ranks.flatMap { rank in tables?.read(settings.shown(rank: rank)) ?? [] }
    var record = PromptRecord(header)
    record.nextTokenId = path?.nextTokenId
    record.nextToken = path?.nextToken
    record.layers = layers
    record.coupling = settings.ranks.flatMap { rank in
      CouplingSetting.combinations(rank: rank).flatMap { tables?.read($0) ?? [] }
    }
    record.overlap = settings.ranks.flatMap { tables?.overlaps(rank: $0) ?? [] }
    record.trajectory = path?.trajectory ?? .nothing
    record.inverseLeadingFit = Self.fit(
      solved.map { manifest.layers[$0.block] }, solved.map(\.triplets))
    self.record = record
  }

  /// Of a prompt that failed.
  init(_ header: PromptHeader, index: Int, _ lost: LostPrompt) {
    (self.index, isComplete, isBegun, shown) = (index, true, true, [])
    var record = PromptRecord(header)
    record.failed = PromptFailure(
      number: index + 1, text: header.text, layer: lost.layer, token: lost.token,
      tensor: lost.tensor, reason: lost.reason)
    self.record = record
  }

  /// Of the last token's Jacobians.
  private static func fit(
    _ layers: [Int], _ triplets: [[SingularTriplets]]
  ) -> InverseLeadingFit? {
    let start = layers.count { $0 >= fitStart } >= fewestFitted ? fitStart : 1
    guard layers.count >= fewestFitted else { return nil }
    let leading = triplets.map { $0.last?.singularValues.first ?? 0 }
    return SpectrumShape.inverseLeadingFit(leading: leading, layers: layers, from: start).map {
      InverseLeadingFit(
        start: start, slope: $0.slope, intercept: $0.intercept, rSquared: $0.rSquared)
    }
  }
}

extension PromptRecord {
  /// Of a prompt that nothing is known of yet.
  fileprivate init(_ header: PromptHeader) {
    self.init(
      text: header.text, image: header.image, imageHash: header.imageHash,
      tokenIds: header.tokenIds, encoderTokenIds: header.encoderTokenIds, nextTokenId: nil,
      nextToken: nil, layers: [], coupling: [], overlap: [], trajectory: .nothing,
      inverseLeadingFit: nil, failed: nil)
  }
}

extension LayerRecord {
  /// Of one Jacobian's triplets.
  fileprivate init(
    layer: Int, _ tokens: TokenSelection, _ t: SingularTriplets, seconds: Double,
    frobeniusNorm: FrobeniusNorm?
  ) {
    var remedy: String?
    if case .stopped(let text) = t.report.outcome { remedy = text }
    self.init(
      layer: layer, fromToken: tokens.source, toToken: tokens.target,
      singularValues: t.singularValues, residualNorms: t.residualNorms,
      converged: t.report.isConverged, remedy: remedy,
      relativeGaps: SpectrumShape.relativeGaps(t.singularValues), frobeniusNorm: frobeniusNorm,
      solver: t.report.solver,
      applications: .init(jvp: t.report.applications.jvp, vjp: t.report.applications.vjp),
      passes: t.report.applications.passes, seconds: seconds)
  }
}

extension TrajectoryRecord {
  /// Of a path that has not been followed to the end.
  fileprivate static var nothing: TrajectoryRecord {
    TrajectoryRecord(
      norms: [], lineShapeScore: [], zeroSteps: [], growth: [], expodistance: [],
      linearisedPathCosine: nil, picture: nil)
  }
}

extension RunSettings {
  /// How the coupling at a rank is shown.
  func shown(rank: Int) -> CouplingSetting {
    CouplingSetting(
      rank: rank, sign: sign,
      normalisation: CouplingNormalisation(rawValue: normalisation) ?? .frobenius, form: form,
      score: score)
  }
}
