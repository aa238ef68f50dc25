import Alignment
import LinearAlgebra
import Model
import Tokenization

/// What was found on one prompt: its record, and the arrays behind it.
public struct PromptResult {
  /// For `result.json`.
  public let record: PromptRecord
  /// The coupling that is to be shown, at each rank: sign, normalisation, form and score as in the settings.
  public let shown: [CouplingMatrix]
  /// The triplets of every linearized block.
  public let triplets: [SingularTriplets]
  /// X⁰ … X^L (tokens, width) if they were to be saved, else empty.
  public let hiddenStates: [Matrix<Float>]

  /// The first block of the 1/σ₁ fit, as in the authors' code; fewer blocks than that start at 1.
  private static let fitStart = 10

  /// Collects prompt `index` of a group.
  init(
    given: PromptInput, input: ModelInput, selection: TokenSelection, index p: Int,
    forward: SolvePass,
    coupling: CouplingPass, plan: SolvePlan, tokenizer: Tokenizer?
  ) {
    triplets = forward.triplets.map { $0[p] }
    hiddenStates = forward.hiddenStates[p]
    let norms = coupling.frobeniusNorms[p]
    let width = triplets[0].rightVectors.columns
    let nulls = norms.map { NullLevel(frobeniusNorm: $0, width: width) }
    let layers = zip(plan.layers, triplets).enumerated().map { i, pair in
      let (layer, t) = pair
      var remedy: String?
      if case .stopped(let text) = t.report.outcome { remedy = text }
      return LayerRecord(
        layer: layer, fromToken: selection.source, toToken: selection.target,
        singularValues: t.singularValues, residualNorms: t.residualNorms,
        converged: t.report.isConverged, remedy: remedy,
        relativeGaps: SpectrumShape.relativeGaps(t.singularValues), frobeniusNorm: norms[i],
        solver: t.report.solver,
        applications: .init(jvp: t.report.applications.jvp, vjp: t.report.applications.vjp),
        passes: t.report.applications.passes, seconds: forward.solveSeconds[i])
    }
    let table = { (setting: CouplingSetting) in
      CouplingMatrix(
        kind: .depth, setting: setting, rows: plan.layers, columns: plan.layers,
        couplings: setting.form == .same ? coupling.same[p] : coupling.crossed[p], nulls: nulls)
    }
    shown = plan.shown.map(table)
    let tables = plan.ranks.flatMap { CouplingSetting.combinations(rank: $0).map(table) }
    var fit: InverseLeadingFit?
    let start = plan.layers.filter { $0 >= Self.fitStart }.count >= 3 ? Self.fitStart : 1
    if let line = SpectrumShape.inverseLeadingFit(
      leading: triplets.map { $0.singularValues[0] }, layers: plan.layers, from: start)
    {
      fit = InverseLeadingFit(
        start: start, slope: line.slope, intercept: line.intercept, rSquared: line.rSquared)
    }
    let next = forward.nextTokens?[p]
    var (text, image): (String?, String?)
    if case .text(let value) = given { text = value }
    if case .image(let path) = given { image = path }
    record = PromptRecord(
      text: text, image: image, tokenIds: image == nil ? input.tokens : nil,
      encoderTokenIds: input.encoderTokens, nextTokenId: next,
      nextToken: next.flatMap { tokenizer?.decode([$0]) }, layers: layers, coupling: tables,
      overlap: plan.ranks.map { Self.overlap(forward.triplets.map { $0[p] }, rank: $0) },
      trajectory: Self.trajectory(forward, p), inverseLeadingFit: fit)
  }

  private static func overlap(_ triplets: [SingularTriplets], rank: Int) -> OverlapRecord {
    let pairs = triplets.map { a in triplets.map { SubspaceOverlap(a, $0, rank: rank) } }
    return OverlapRecord(
      rank: rank,
      chance: SubspaceOverlap.chance(rank: rank, width: triplets[0].rightVectors.columns),
      left: pairs.map { $0.map(\.left) }, right: pairs.map { $0.map(\.right) })
  }

  private static func trajectory(_ forward: SolvePass, _ p: Int) -> TrajectoryRecord {
    let cosine = forward.linearisedPath.flatMap {
      LinearisedPath.cosine(image: Array($0.image.row(p)), final: Array($0.final.row(p)))
    }
    let (norms, shapes) = (forward.trajectories[p].norms, forward.trajectories[p].shapes)
    // A token with a zero state, such as padding embedded as zeros, has no growth; all else still stands.
    let growths = shapes.indices.map { t in
      try? ExponentialGrowth(norms: norms.map { $0[t] }, token: t)
    }
    return TrajectoryRecord(
      norms: norms,
      lineShapeScore: shapes.map { $0.score.flatMap { $0.isFinite ? $0 : nil } },
      zeroSteps: shapes.map(\.zeroSteps), growth: growths.map { $0?.mean },
      expodistance: growths.map { $0?.expodistance }, linearisedPathCosine: cosine)
  }
}
