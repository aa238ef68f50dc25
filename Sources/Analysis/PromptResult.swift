import Alignment
import LinearAlgebra
import Model

/// What was found on one prompt: its record, and the coupling as it is to be shown.
public struct PromptResult: Sendable {
  /// For `result.json`.
  public let record: PromptRecord
  /// The coupling that is to be shown, at each rank: sign, normalisation, form and score as in the settings.
  public let shown: [CouplingMatrix]

  /// The first block of the 1/σ₁ fit, as in the authors' code; fewer blocks than that start at 1.
  private static let fitStart = 10

  /// Collects what the journal holds of a prompt, all of it or less. `finished` lists the blocks whose triplets are known,
  /// as positions among the run's; couplings count only if they are there for all blocks.
  init(
    _ manifest: RunManifest, _ header: PromptHeader, path: PathRecord?, finished: [Int],
    solved: [(triplets: [SingularTriplets], seconds: Double)], couplings: [[JacobianCouplings]]?
  ) {
    let settings = manifest.settings
    let layers = zip(finished, solved).enumerated().flatMap { position, pair in
      zip(header.selections, pair.1.triplets).enumerated().map { s, found in
        LayerRecord(
          layer: manifest.layers[pair.0], found.0, found.1, seconds: pair.1.seconds,
          frobeniusNorm: couplings?[position][s].frobeniusNorm)
      }
    }
    let tables = couplings.map {
      CouplingTables(
        manifest, header.selections, triplets: solved.map(\.triplets), couplings: $0)
    }
    shown = settings.ranks.flatMap { rank in tables?.read(settings.shown(rank: rank)) ?? [] }
    record = PromptRecord(
      text: header.text, image: header.image, imageHash: header.imageHash,
      tokenIds: header.tokenIds, encoderTokenIds: header.encoderTokenIds,
      nextTokenId: path?.nextTokenId, nextToken: path?.nextToken, layers: layers,
      coupling: settings.ranks.flatMap { rank in
        CouplingSetting.combinations(rank: rank).flatMap { tables?.read($0) ?? [] }
      }, overlap: settings.ranks.flatMap { tables?.overlaps(rank: $0) ?? [] },
      trajectory: path?.trajectory ?? .nothing,
      inverseLeadingFit: Self.fit(finished.map { manifest.layers[$0] }, solved.map(\.triplets)))
  }

  /// Of the last token's Jacobians.
  private static func fit(
    _ layers: [Int], _ triplets: [[SingularTriplets]]
  ) -> InverseLeadingFit? {
    let start = layers.filter { $0 >= fitStart }.count >= 3 ? fitStart : 1
    let leading = triplets.map { $0.last?.singularValues.first ?? 0 }
    return SpectrumShape.inverseLeadingFit(leading: leading, layers: layers, from: start).map {
      InverseLeadingFit(
        start: start, slope: $0.slope, intercept: $0.intercept, rSquared: $0.rSquared)
    }
  }
}

extension LayerRecord {
  /// Of one Jacobian's triplets.
  fileprivate init(
    layer: Int, _ tokens: TokenSelection, _ t: SingularTriplets, seconds: Double,
    frobeniusNorm: FrobeniusNorm?
  ) {
    var remedy: String?
    if case .stopped(let stop) = t.report.outcome { remedy = stop.advice }
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
