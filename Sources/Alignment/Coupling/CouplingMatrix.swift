/// One reading of couplings: the settings that an entry of a table depends on, besides the pair of Jacobians.
public struct CouplingSetting: Sendable, Hashable, Codable {
  /// The rank K.
  public var rank: Int
  /// Whether A or |A| is compared.
  public var sign: CouplingSign
  /// The norm p of the denominator.
  public var normalisation: CouplingNormalisation
  /// The form, A or B.
  public var form: CouplingForm
  /// The score computed from the misfit.
  public var score: CouplingScore

  /// Creates a setting; by default that of the paper.
  public init(
    rank: Int, sign: CouplingSign = .signed, normalisation: CouplingNormalisation = .frobenius,
    form: CouplingForm = .same, score: CouplingScore = .oneMinus
  ) {
    self.rank = rank
    self.sign = sign
    self.normalisation = normalisation
    self.form = form
    self.score = score
  }

  /// All combinations of sign, named normalisation and these forms at one rank.
  public static func combinations(
    rank: Int, forms: [CouplingForm] = CouplingForm.allCases, score: CouplingScore = .oneMinus
  ) -> [CouplingSetting] {
    forms.flatMap { form in
      CouplingSign.allCases.flatMap { sign in
        CouplingNormalisation.allCases.map { normalisation in
          CouplingSetting(
            rank: rank, sign: sign, normalisation: normalisation, form: form, score: score)
        }
      }
    }
  }
}

/// The blocks and tokens that all Jacobians of a table share; nil for those that vary.
public struct CouplingPlace: Sendable, Hashable, Codable {
  /// The block of the Jacobians i.
  public var layer: Int?
  /// The block of the bases j.
  public var basisLayer: Int?
  /// The input token, counted from 0.
  public var fromToken: Int?
  /// The output token, counted from 0.
  public var toToken: Int?

  /// Creates a place from its properties.
  public init(
    layer: Int? = nil, basisLayer: Int? = nil, fromToken: Int? = nil, toToken: Int? = nil
  ) {
    self.layer = layer
    self.basisLayer = basisLayer
    self.fromToken = fromToken
    self.toToken = toToken
  }

  private enum CodingKeys: String, CodingKey { case layer, basisLayer, fromToken, toToken }

  /// Encodes all four keys; nil becomes `null`.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(layer, forKey: .layer)
    try values.encode(basisLayer, forKey: .basisLayer)
    try values.encode(fromToken, forKey: .fromToken)
    try values.encode(toToken, forKey: .toToken)
  }
}

/// Scores of all pairs of two lists of Jacobians: row = Jacobian i, column = basis of j.
///
/// Missing entries are nil, never 0.
public struct CouplingMatrix: Sendable, Equatable {
  /// What the rows and columns range over.
  public let kind: CouplingKind
  /// The blocks and tokens that all Jacobians have in common.
  public let place: CouplingPlace
  /// How the entries were read.
  public internal(set) var setting: CouplingSetting
  /// The names of the Jacobians i: blocks counted from 1, or tokens counted from 0.
  public let rows: [Int]
  /// The names of the bases j.
  public let columns: [Int]
  /// The scores (rows, columns).
  public internal(set) var matrix: [[Double?]]
  /// The score at the null level, one per row; nil if ‖J‖_F is not known.
  public internal(set) var null: [Double?]?
  /// The bound of each entry (`CouplingBound`), nil for missing entries; nil if unknown.
  public internal(set) var bound: [[Double?]]?
  /// The entries where single vectors are not determined, by `BlockCoupling.invariantMisfit`; an entry is nil if the
  /// rank cuts a cluster of the basis. nil if no basis has a cluster, or for the magnitudes |A|.
  public internal(set) var invariant: [[Double?]]?
  /// The bounds of those entries.
  public internal(set) var invariantBound: [[Double?]]?
  /// Whether a row and a column with the same name are the same Jacobian, in the form `same`: such a pair carries no
  /// information.
  public let diagonalIsTrivial: Bool

  /// Creates a table from couplings that all have the setting's form and at least its rank.
  ///
  /// `couplings[i][j]` is Jacobian i in the basis of j. `nulls` has one level per row. `comparesSameJacobians` says
  /// whether equal names mean equal Jacobians: true across depth, false when, say, the tokens of two different blocks
  /// are compared.
  public init(
    kind: CouplingKind, setting: CouplingSetting, rows: [Int], columns: [Int],
    couplings: [[BlockCoupling]], nulls: [NullLevel]? = nil, comparesSameJacobians: Bool = true,
    place: CouplingPlace = CouplingPlace()
  ) {
    precondition(
      couplings.count == rows.count && couplings.allSatisfy { $0.count == columns.count },
      "the table does not have the dimensions of its names")
    precondition(nulls == nil || nulls?.count == rows.count, "one null level per row")
    precondition(
      couplings.allSatisfy { $0.allSatisfy { $0.form == setting.form } },
      "the couplings do not have the setting's form")
    self.init(
      kind: kind, setting: setting, rows: rows, columns: columns,
      matrix: couplings.map {
        $0.map {
          $0.score(
            setting.score, rank: setting.rank, sign: setting.sign,
            normalisation: setting.normalisation)
        }
      },
      null: nulls.map { levels in
        zip(levels, couplings).map { level, row in
          row.first.flatMap {
            level.score(
              setting.score, singularValues: $0.singularValues[..<setting.rank],
              sign: setting.sign, normalisation: setting.normalisation)
          }
        }
      }, comparesSameJacobians: comparesSameJacobians, place: place)
  }

  /// Creates a table of known scores, with the score at the null level per row; the rest as above.
  public init(
    kind: CouplingKind, setting: CouplingSetting, rows: [Int], columns: [Int],
    matrix: [[Double?]], null: [Double?]?, comparesSameJacobians: Bool,
    place: CouplingPlace = CouplingPlace()
  ) {
    precondition(
      matrix.count == rows.count && matrix.allSatisfy { $0.count == columns.count }
        && null.map { $0.count == rows.count } ?? true,
      "the table does not have the dimensions of its names")
    self.kind = kind
    self.place = place
    self.setting = setting
    self.rows = rows
    self.columns = columns
    self.matrix = matrix
    self.null = null
    diagonalIsTrivial = comparesSameJacobians && setting.form == .same
  }

  /// The same table with bounds of its entries. Precondition: they have the table's dimensions.
  public func with(
    bound: [[Double?]]?, invariant: [[Double?]]? = nil, invariantBound: [[Double?]]? = nil
  ) -> CouplingMatrix {
    var result = self
    (result.bound, result.invariant, result.invariantBound) = (bound, invariant, invariantBound)
    precondition(result.hasSides, "the table does not have the dimensions of its names")
    return result
  }

  private var hasSides: Bool {
    [matrix, bound, invariant, invariantBound].allSatisfy { part in
      part.map { $0.count == rows.count && $0.allSatisfy { $0.count == columns.count } } ?? true
    }
  }

  /// The same couplings in another norm and score. `spectra` are the singular values of the rows' Jacobians, in the
  /// order of `rows`; an entry is nil if its row has fewer values than the rank.
  public func read(
    _ normalisation: CouplingNormalisation, _ score: CouplingScore, spectra: [[Double]]
  ) -> CouplingMatrix {
    var result = self
    result.setting.normalisation = normalisation
    result.setting.score = score
    // m^(p) = m^(q) ‖S_K‖_q / ‖S_K‖_p
    let ratios = rows.indices.map { i -> Double? in
      guard normalisation != setting.normalisation else { return 1 }
      guard i < spectra.count, spectra[i].count >= setting.rank else { return nil }
      let values = spectra[i].prefix(setting.rank)
      let norm = normalisation.norm(values)
      return norm > 0 && norm.isFinite ? setting.normalisation.norm(values) / norm : nil
    }
    let convert = { (value: Double?, ratio: Double?) -> Double? in
      guard let value, let ratio else { return nil }
      return score(self.setting.score.misfit(value) * ratio)
    }
    let scores = { (table: [[Double?]]) in
      zip(table, ratios).map { row, ratio in row.map { convert($0, ratio) } }
    }
    // Bounds of misfits scale in the same way.
    let bounds = { (table: [[Double?]], errors: [[Double?]]) -> [[Double?]] in
      zip(zip(table, errors), ratios).map { rows, ratio in
        zip(rows.0, rows.1).map { value, error in
          guard let value, let error, let ratio else { return nil }
          let misfit = self.setting.score.misfit(value)
          let first = self.setting.score.misfitBound(error, misfit: misfit)
          return score.bound(misfit: misfit * ratio, first * ratio)
        }
      }
    }
    result.matrix = scores(matrix)
    result.bound = bound.map { bounds(matrix, $0) }
    result.invariant = invariant.map(scores)
    if let invariant { result.invariantBound = invariantBound.map { bounds(invariant, $0) } }
    result.null = null.map { zip($0, ratios).map { convert($0, $1) } }
    return result
  }

  /// The mean of the entries that exist; nil if there are none.
  ///
  /// `excluded` leaves out the pairs of a Jacobian with itself. The crossed form has no such pairs: its diagonal
  /// always counts.
  public func mean(diagonal: DiagonalMode = .excluded) -> Double? {
    mean(of: matrix, diagonal)
  }

  /// A bound on the error of that mean, if the errors of all entries have the same sign: the mean of their bounds;
  /// nil if one of them is unknown.
  public func meanBound(diagonal: DiagonalMode = .excluded) -> Double? {
    guard let bound else { return nil }
    let missing = zip(matrix, bound).map { zip($0, $1).map { $0 != nil && $1 == nil ? 1.0 : nil } }
    return mean(of: missing, diagonal) == nil ? mean(of: bound, diagonal) : nil
  }

  private func mean(of table: [[Double?]], _ diagonal: DiagonalMode) -> Double? {
    var values: [Double] = []
    for (i, row) in zip(rows, table) {
      for case (let j, let value?) in zip(columns, row)
      where !(diagonalIsTrivial && diagonal == .excluded && i == j) {
        values.append(value)
      }
    }
    return MeanEstimate(values)?.mean
  }
}

extension [CouplingMatrix] {
  /// The mean of the tables' means; nil if none has one.
  public func mean(diagonal: DiagonalMode) -> Double? {
    MeanEstimate(compactMap { $0.mean(diagonal: diagonal) })?.mean
  }

  /// A bound on the error of that mean; nil if it is unknown for a table that has a mean.
  public func meanBound(diagonal: DiagonalMode) -> Double? {
    let counted = filter { $0.mean(diagonal: diagonal) != nil }
    let bounds = counted.compactMap { $0.meanBound(diagonal: diagonal) }
    return bounds.count == counted.count ? MeanEstimate(bounds)?.mean : nil
  }
}

extension CouplingMatrix: Codable {
  private enum CodingKeys: String, CodingKey {
    case kind, rows, columns, matrix, null
    case diagonalIsTrivial, meanNontrivial, meanOffDiagonal
    case bound, meanBound, invariant, invariantBound
  }

  /// Decodes what `encode(to:)` writes; the mean is recomputed.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    kind = try values.decode(CouplingKind.self, forKey: .kind)
    place = try CouplingPlace(from: decoder)
    setting = try CouplingSetting(from: decoder)
    rows = try values.decode([Int].self, forKey: .rows)
    columns = try values.decode([Int].self, forKey: .columns)
    matrix = try values.decode([[Double?]].self, forKey: .matrix)
    null = try values.decodeIfPresent([Double?].self, forKey: .null)
    diagonalIsTrivial = try values.decode(Bool.self, forKey: .diagonalIsTrivial)
    bound = try values.decodeIfPresent([[Double?]].self, forKey: .bound)
    invariant = try values.decodeIfPresent([[Double?]].self, forKey: .invariant)
    invariantBound = try values.decodeIfPresent([[Double?]].self, forKey: .invariantBound)
    guard hasSides, null == nil || null?.count == rows.count else {
      throw DecodingError.dataCorruptedError(
        forKey: .matrix, in: values,
        debugDescription: "the matrix is not \(rows.count) × \(columns.count), unlike its names")
    }
  }

  /// Encodes one object; missing numbers are `null`, and so is `null` itself if no level is known.
  public func encode(to encoder: any Encoder) throws { try encode(to: encoder, hasEntries: true) }

  fileprivate func encode(to encoder: any Encoder, hasEntries: Bool) throws {
    try place.encode(to: encoder)
    try setting.encode(to: encoder)
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(kind, forKey: .kind)
    try values.encode(rows, forKey: .rows)
    try values.encode(columns, forKey: .columns)
    try values.encode(null, forKey: .null)
    try values.encode(diagonalIsTrivial, forKey: .diagonalIsTrivial)
    try values.encode(mean(), forKey: .meanNontrivial)
    try values.encode(meanBound(), forKey: .meanBound)
    for (key, part) in [
      (.matrix, matrix), (.bound, bound), (.invariant, invariant),
      (.invariantBound, invariantBound),
    ] as [(CodingKeys, [[Double?]]?)] {
      try values.encode(hasEntries ? part : part.map { _ in [] }, forKey: key)
    }
    // The mean under its former name, which is correct only for the form `same`.
    try values.encode(mean(), forKey: .meanOffDiagonal)
  }

  /// The table without its entries: everything else is encoded as in the whole table, and each known part as an empty list.
  package struct Outline: Encodable {
    private let table: CouplingMatrix

    /// Encodes the table with empty lists.
    package func encode(to encoder: any Encoder) throws {
      try table.encode(to: encoder, hasEntries: false)
    }

    fileprivate init(_ table: CouplingMatrix) { self.table = table }
  }

  /// The table without its entries.
  package var outline: Outline { Outline(self) }
}
