/// The kinds of checks that `RunVerification` makes.
public enum CheckKind: String, Codable, Sendable, CaseIterable {
  /// σ in `triplets.safetensors` equals σ in `result.json`.
  case storedValues = "stored_values"
  /// max(‖J v − σ u‖, ‖Jᵀ u − σ v‖) of the stored triplets equals the record.
  case residualNorms = "residual_norms"
  /// UᵀU = VᵀV = 1.
  case orthonormality
  /// ⟨J v, u⟩ = ⟨v, Jᵀ u⟩.
  case adjoint
  /// J v agrees with finite differences of the block's function.
  case finiteDifference = "finite_difference"
  /// σᵢ is the i-th largest singular value of J, formed and decomposed densely: nothing was missed.
  case singularValues = "singular_values"
  /// The score agrees with the one that the stored triplets give.
  case coupling
  /// The norms ‖x‖ of the hidden states agree.
  case hiddenNorms = "hidden_norms"
}

/// One recomputed number of a run, and the limit for its difference.
public struct VerificationFinding: Codable, Sendable {
  /// What was checked.
  public var kind: CheckKind
  /// The prompt, from 1.
  public var prompt: Int
  /// The block, from 1; for hidden norms the number of blocks before the state.
  @Nullable public var layer: Int?
  /// The input token, from 0.
  @Nullable public var fromToken: Int?
  /// The output token, from 0.
  @Nullable public var toToken: Int?
  /// The triplet, from 1; for a coupling its rank.
  @Nullable public var rank: Int?
  /// For a coupling its reading and its basis: a block from 1 or, in kinds that compare tokens, a token from 0.
  @Nullable public var reading: String?
  /// The recorded number, if there is one.
  @Nullable public var recorded: Double?
  /// The recomputed number.
  @Nullable public var found: Double?
  /// The difference between them, or the size of the defect.
  @Nullable public var difference: Double?
  /// The limit for the difference.
  public var limit: Double

  /// The difference over the limit, at most 1 if the check holds; nil if a number is missing or not finite.
  public var ratio: Double? {
    guard let difference, difference.isFinite else { return nil }
    return difference == 0 ? 0 : limit > 0 ? difference / limit : nil
  }

  /// Whether the check holds.
  public var holds: Bool { ratio.map { $0 <= 1 } ?? false }
}

/// The result of recomputing a run from its model.
public struct VerificationReport: Codable, Sendable {
  /// One kind of check.
  public struct Kind: Codable, Sendable {
    /// The kind.
    public var kind: CheckKind
    /// The number of checked numbers.
    public var checks: Int
    /// The number of failed checks.
    public var failed: Int
    /// The check that is closest to its limit, or farthest beyond it.
    public var worst: VerificationFinding
    /// The difference of that check over its limit; null if it is not a number.
    @Nullable public var worstRatio: Double?
  }

  /// The version of Krylens that did the checks.
  public var krylens: String
  /// The run folder.
  public var run: String
  /// The path of the model.
  public var model: String
  /// Whether everything that was checked holds.
  public var passed: Bool
  /// The number of checked numbers.
  public var checks: Int
  /// The kinds of checks that were made.
  public var kinds: [Kind]
  /// The failed checks, at most a hundred.
  public var failures: [VerificationFinding]
  /// What was not checked, and why: one line each.
  public var leftOut: [String]
  /// Wall-clock seconds.
  public var seconds: Double
}

/// Counts checks and keeps the worst of each kind.
struct VerificationTally {
  private static let mostFailures = 100
  private var kinds: [CheckKind: VerificationReport.Kind] = [:]
  private var failures: [VerificationFinding] = []
  private var notes: [String: Int] = [:]

  /// An empty tally, with notes on checks that are left out.
  init(leavingOut notes: [String]) {
    for note in notes { leaveOut(note) }
  }

  /// Counts a check.
  mutating func add(_ finding: VerificationFinding) {
    var finding = finding
    for path in [\VerificationFinding.recorded, \.found, \.difference]
    where finding[keyPath: path]?.isFinite == false {
      finding[keyPath: path] = nil
    }
    var kind =
      kinds[finding.kind]
      ?? VerificationReport.Kind(
        kind: finding.kind, checks: 0, failed: 0, worst: finding, worstRatio: finding.ratio)
    kind.checks += 1
    // A missing number is worse than any other.
    if (finding.ratio ?? .infinity) > (kind.worst.ratio ?? .infinity) {
      (kind.worst, kind.worstRatio) = (finding, finding.ratio)
    }
    if !finding.holds {
      kind.failed += 1
      if finding.ratio == nil { (kind.worst, kind.worstRatio) = (finding, nil) }
      if failures.count < Self.mostFailures { failures.append(finding) }
    }
    kinds[finding.kind] = kind
  }

  /// Notes something that could not be checked.
  mutating func leaveOut(_ what: String) { notes[what, default: 0] += 1 }

  /// The report of all checks.
  func report(run: String, model: String, seconds: Double) -> VerificationReport {
    let kinds = CheckKind.allCases.compactMap { self.kinds[$0] }
    return VerificationReport(
      krylens: krylensVersion, run: run, model: model, passed: kinds.allSatisfy { $0.failed == 0 },
      checks: kinds.reduce(0) { $0 + $1.checks }, kinds: kinds, failures: failures,
      leftOut: notes.sorted { $0.key < $1.key }.map { $1 == 1 ? $0 : "\($0) (\($1) times)" },
      seconds: seconds)
  }
}
