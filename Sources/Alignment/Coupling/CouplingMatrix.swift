/// One way of reading couplings: everything a number of a table depends on besides the pair.
public struct CouplingSetting: Sendable, Hashable, Codable {
  /// K.
  public var rank: Int
  /// A or |A|.
  public var sign: CouplingSign
  /// p.
  public var normalisation: CouplingNormalisation
  /// A or B.
  public var form: CouplingForm
  /// What is made of the misfit.
  public var score: CouplingScore

  /// A setting; by default the paper's.
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

/// What is common to all Jacobians of a table; what varies, or is not common, is nil.
public struct CouplingPlace: Sendable, Hashable, Codable {
  /// The block of the Jacobians i.
  public var layer: Int?
  /// The block of the bases j.
  public var basisLayer: Int?
  /// The input token, from 0.
  public var fromToken: Int?
  /// The output token, from 0.
  public var toToken: Int?

  /// A place.
  public init(
    layer: Int? = nil, basisLayer: Int? = nil, fromToken: Int? = nil, toToken: Int? = nil
  ) {
    self.layer = layer
    self.basisLayer = basisLayer
    self.fromToken = fromToken
    self.toToken = toToken
  }

  private enum CodingKeys: String, CodingKey { case layer, basisLayer, fromToken, toToken }

  /// All four keys; what is nil is `null`.
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
  /// What the rows and columns run over.
  public let kind: CouplingKind
  /// Which blocks and tokens all of them have in common.
  public let place: CouplingPlace
  /// How the entries are to be read.
  public internal(set) var setting: CouplingSetting
  /// Names of the Jacobians i: blocks from 1, or tokens from 0.
  public let rows: [Int]
  /// Names of the bases j.
  public let columns: [Int]
  /// Scores (rows, columns).
  public internal(set) var matrix: [[Double?]]
  /// Per row, the score at the null level; nil when ‖J‖_F is not known.
  public internal(set) var null: [Double?]?
  /// How far each entry may be off (`CouplingBound`), nil where the entry is; nil where it is not known.
  public internal(set) var bound: [[Double?]]?
  /// The entries as they are where single vectors are not determined: of `BlockCoupling.invariantMisfit`, nil where a cluster of
  /// the basis is cut at the rank. nil when no cluster concerns any basis, or A has its entries' magnitudes.
  public internal(set) var invariant: [[Double?]]?
  /// How far those may be off.
  public internal(set) var invariantBound: [[Double?]]?
  /// Whether a row and a column of one name are one and the same Jacobian, in the form `same`: a pair that says nothing.
  public let diagonalIsTrivial: Bool

  /// Reads a table of couplings, all of the setting's form and of its rank at least.
  ///
  /// `couplings[i][j]` is Jacobian i in the basis of j. `nulls` has one level per row. `comparesSameJacobians` says that
  /// equal names mean equal Jacobians: true across depth, false when, say, the tokens of two different blocks are compared.
  public init(
    kind: CouplingKind, setting: CouplingSetting, rows: [Int], columns: [Int],
    couplings: [[BlockCoupling]], nulls: [NullLevel]? = nil, comparesSameJacobians: Bool = true,
    place: CouplingPlace = CouplingPlace()
  ) {
    precondition(
      couplings.count == rows.count && couplings.allSatisfy { $0.count == columns.count },
      "a table of other sides than its names")
    precondition(nulls == nil || nulls?.count == rows.count, "one null level per row")
    precondition(
      couplings.allSatisfy { $0.allSatisfy { $0.form == setting.form } },
      "couplings of another form than the setting")
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

  /// A table of scores that are known, with the score at the null level per row. The rest as above.
  public init(
    kind: CouplingKind, setting: CouplingSetting, rows: [Int], columns: [Int],
    matrix: [[Double?]], null: [Double?]?, comparesSameJacobians: Bool,
    place: CouplingPlace = CouplingPlace()
  ) {
    precondition(
      matrix.count == rows.count && matrix.allSatisfy { $0.count == columns.count }
        && null.map { $0.count == rows.count } ?? true,
      "a table of other sides than its names")
    self.kind = kind
    self.place = place
    self.setting = setting
    self.rows = rows
    self.columns = columns
    self.matrix = matrix
    self.null = null
    diagonalIsTrivial = comparesSameJacobians && setting.form == .same
  }

  /// The same with what is known of its entries' errors. Precondition: of the matrix's sides.
  public func with(
    bound: [[Double?]]?, invariant: [[Double?]]? = nil, invariantBound: [[Double?]]? = nil
  ) -> CouplingMatrix {
    var result = self
    (result.bound, result.invariant, result.invariantBound) = (bound, invariant, invariantBound)
    precondition(result.hasSides, "a table of other sides than its names")
    return result
  }

  private var hasSides: Bool {
    [matrix, bound, invariant, invariantBound].allSatisfy { part in
      part.map { $0.count == rows.count && $0.allSatisfy { $0.count == columns.count } } ?? true
    }
  }

  /// The same couplings read with another norm and score. `spectra` are the singular values of the rows' Jacobians, in the
  /// order of `rows`; an entry whose row has fewer than the rank is nil.
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
    // Bounds of misfits scale as these do.
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

  /// The mean of the entries that are there; nil when none is.
  ///
  /// `excluded` leaves out the pairs of a Jacobian with itself. The crossed form has none: its diagonal always counts.
  public func mean(diagonal: DiagonalMode = .excluded) -> Double? {
    mean(of: matrix, diagonal)
  }

  /// How far that mean may be off, for errors of one direction in all entries: the mean of their bounds; nil where one that counts is
  /// not known.
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
  /// The mean of the tables' means; nil when none has one.
  public func mean(diagonal: DiagonalMode) -> Double? {
    MeanEstimate(compactMap { $0.mean(diagonal: diagonal) })?.mean
  }

  /// How far that mean may be off; nil where it is not known of a table that has a mean.
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

  /// Reads what `encode(to:)` writes; the mean is recomputed.
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
        debugDescription: "the matrix is not \(rows.count) × \(columns.count), as its names say")
    }
  }

  /// One object; missing numbers are `null`, and so is `null` itself when no level is known.
  public func encode(to encoder: any Encoder) throws {
    try place.encode(to: encoder)
    try setting.encode(to: encoder)
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(kind, forKey: .kind)
    try values.encode(rows, forKey: .rows)
    try values.encode(columns, forKey: .columns)
    try values.encode(matrix, forKey: .matrix)
    try values.encode(null, forKey: .null)
    try values.encode(diagonalIsTrivial, forKey: .diagonalIsTrivial)
    try values.encode(mean(), forKey: .meanNontrivial)
    try values.encode(bound, forKey: .bound)
    try values.encode(meanBound(), forKey: .meanBound)
    try values.encode(invariant, forKey: .invariant)
    try values.encode(invariantBound, forKey: .invariantBound)
    // The same under its first name, which is true of the form `same` only.
    try values.encode(mean(), forKey: .meanOffDiagonal)
  }
}
