import Alignment
import LinearAlgebra
import Model

/// Checks a sample of a prompt's recorded couplings against the Jacobians and their stored triplets.
struct CouplingCheck {
  /// A block and its tokens.
  struct Place: Hashable {
    let layer: Int
    let tokens: TokenSelection
  }

  /// The prompt's recomputed Jacobians.
  let jacobians: [Place: RecomputedJacobian]
  /// The number of bases in which each of them is checked.
  let sample: Int
  /// The stored vectors of any Jacobian of the prompt.
  let basis: (Place) throws -> SingularVectors

  /// Does the checks; `step` is called before each Jacobian.
  func run(
    _ tables: [CouplingMatrix], _ generator: inout SeededGenerator,
    _ tally: inout VerificationTally, step: () throws -> Void
  ) throws {
    // Tables of the same pairs, which differ only in their readings.
    let groups = Dictionary(grouping: tables) { "\($0.kind) \($0.place) \($0.rows) \($0.columns)" }
    for (_, group) in groups.sorted(by: { $0.key < $1.key }) {
      let table = group[0]
      for (i, name) in table.rows.enumerated() {
        guard let place = Self.place(table, name, isBasis: false), let own = jacobians[place]
        else { continue }
        try step()
        for j in table.columns.indices.shuffled(using: &generator).prefix(sample) {
          guard let other = Self.place(table, table.columns[j], isBasis: true) else { continue }
          try check(own, in: other, group, i, j, &tally)
        }
      }
    }
  }

  /// The Jacobian of a row or a column; nil if the record does not say.
  private static func place(_ table: CouplingMatrix, _ name: Int, isBasis: Bool) -> Place? {
    let at = table.place
    let tokens: (Int?, Int?)
    switch table.kind {
    case .depth: tokens = (at.fromToken, at.toToken)
    case .tokens: tokens = (name, name)
    case .contextInput: tokens = (at.fromToken, name)
    case .contextOutput: tokens = (name, at.toToken)
    }
    let layer = table.kind == .depth ? name : isBasis ? at.basisLayer : at.layer
    guard let layer, case (let from?, let to?) = tokens else { return nil }
    return Place(layer: layer, tokens: TokenSelection(source: from, target: to))
  }

  /// Checks entry (i, j) of tables that differ only in their readings.
  private func check(
    _ own: RecomputedJacobian, in other: Place, _ tables: [CouplingMatrix], _ i: Int, _ j: Int,
    _ tally: inout VerificationTally
  ) throws {
    let forms = Set(tables.map(\.setting.form))
    let sigma = own.record.singularValues
    let stored = try basis(other)
    let found = Self.couplings(own, forms, stored, sigma)
    for table in tables where (1...sigma.count).contains(table.setting.rank) {
      let k = table.setting.rank
      let norm = table.setting.normalisation.norm(sigma[..<k])
      // Entries (a, b) differ by u_aᵀ E v_b and two roundings of a stored vector: K columns of at most that length.
      let error = Double(k).squareRoot() * (own.noise + 2 * RecomputedJacobian.storage * own.first)
      add(.coupling, own, other, table, i, j, found, limit: norm > 0 ? error / norm : 0, &tally)
    }
  }

  private static func couplings(
    _ own: RecomputedJacobian, _ forms: Set<CouplingForm>,
    _ basis: SingularVectors, _ sigma: [Double]
  ) -> [CouplingForm: BlockCoupling] {
    let k = min(sigma.count, basis.left.rows)
    return Dictionary(
      uniqueKeysWithValues: forms.map { form in
        let (into, outOf) =
          form == .same ? (basis.right, basis.left) : (basis.left, basis.right)
        return (
          form,
          BlockCoupling(
            form: form, images: own.jacobian.apply(into.prefix(k)), basis: outOf.prefix(k),
            singularValues: Array(sigma.prefix(k)))
        )
      })
  }

  private func add(
    _ kind: CheckKind, _ own: RecomputedJacobian, _ other: Place, _ table: CouplingMatrix, _ i: Int,
    _ j: Int, _ found: [CouplingForm: BlockCoupling], limit: Double,
    _ tally: inout VerificationTally
  ) {
    let setting = table.setting
    guard let coupling = found[setting.form], setting.rank <= coupling.rank else { return }
    let score = coupling.score(
      setting.score, rank: setting.rank, sign: setting.sign, normalisation: setting.normalisation)
    let recorded = table.matrix[i][j]
    // If neither is defined, they agree.
    if score == nil, recorded == nil { return }
    var finding = own.finding(
      kind, rank: setting.rank, recorded: recorded, found: score,
      difference: score.flatMap { s in recorded.map { abs(s - $0) } }, limit: limit)
    finding.reading =
      "\(setting.form.rawValue), \(setting.sign.rawValue), \(setting.normalisation.rawValue); in the basis of "
      + (table.kind == .depth ? "block \(other.layer)" : "token \(table.columns[j])")
    tally.add(finding)
  }
}
