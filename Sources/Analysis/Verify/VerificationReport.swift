/// What `RunVerification` holds a recorded number against.
public enum CheckKind: String, Codable, Sendable, CaseIterable {
  /// σ in `triplets.safetensors` is that of `result.json`.
  case storedValues = "stored_values"
  /// max(‖J v − σ u‖, ‖Jᵀ u − σ v‖) of the stored triplets is what the record says.
  case residualNorms = "residual_norms"
  /// UᵀU = VᵀV = 1.
  case orthonormality
  /// ⟨J v, u⟩ = ⟨v, Jᵀ u⟩.
  case adjoint
  /// J v is what differences of the block's function say.
  case finiteDifference = "finite_difference"
  /// σᵢ is the i-th largest singular value of J, built and decomposed densely: nothing was missed.
  case singularValues = "singular_values"
  /// The score that the stored triplets give.
  case coupling
  /// ‖x‖ of the hidden states.
  case hiddenNorms = "hidden_norms"
}

/// One number of a run, found anew, and the number it is held to.
public struct VerificationFinding: Codable, Sendable {
  /// What was checked.
  public var kind: CheckKind
  /// The prompt, from 1.
  public var prompt: Int
  /// The block, from 1; for hidden norms the blocks passed.
  @Nullable public var layer: Int?
  /// The input token, from 0.
  @Nullable public var fromToken: Int?
  /// The output token, from 0.
  @Nullable public var toToken: Int?
  /// The triplet, from 1; of a coupling its rank.
  @Nullable public var rank: Int?
  /// Of a coupling how it is read, and in which basis: a block from 1 or, of kinds that compare tokens, a token from 0.
  @Nullable public var reading: String?
  /// The number as it is recorded, if the record has one.
  @Nullable public var recorded: Double?
  /// The number as it was found.
  @Nullable public var found: Double?
  /// How far apart they are, or how large the defect is.
  @Nullable public var difference: Double?
  /// What that is held to.
  public var limit: Double

  /// The difference over the limit: at most 1 where the check holds; nil where a number is missing or not finite.
  public var ratio: Double? {
    guard let difference, difference.isFinite else { return nil }
    return difference == 0 ? 0 : limit > 0 ? difference / limit : nil
  }

  /// Whether the check holds.
  public var holds: Bool { ratio.map { $0 <= 1 } ?? false }
}

/// What came of recomputing a run from its model.
public struct VerificationReport: Codable, Sendable {
  /// One kind of check.
  public struct Kind: Codable, Sendable {
    /// Which.
    public var kind: CheckKind
    /// How many numbers were checked.
    public var checks: Int
    /// How many of them failed.
    public var failed: Int
    /// The one nearest to its limit, or farthest beyond it.
    public var worst: VerificationFinding
    /// Its difference over its limit; null where that is no number.
    @Nullable public var worstRatio: Double?
  }

  /// The version that checked.
  public var krylens: String
  /// The run folder.
  public var run: String
  /// The model, as it was opened.
  public var model: String
  /// Whether everything that was checked holds.
  public var passed: Bool
  /// How many numbers were checked.
  public var checks: Int
  /// The kinds of checks that were made.
  public var kinds: [Kind]
  /// What failed, a hundred at most.
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

  /// Nothing checked yet, and some things that will not be.
  init(leavingOut notes: [String]) {
    for note in notes { leaveOut(note) }
  }

  /// Takes a check down.
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
    // No number at all is worse than any.
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

  /// Takes down that something could not be checked.
  mutating func leaveOut(_ what: String) { notes[what, default: 0] += 1 }

  /// All of it.
  func report(run: String, model: String, seconds: Double) -> VerificationReport {
    let kinds = CheckKind.allCases.compactMap { self.kinds[$0] }
    return VerificationReport(
      krylens: krylensVersion, run: run, model: model, passed: kinds.allSatisfy { $0.failed == 0 },
      checks: kinds.reduce(0) { $0 + $1.checks }, kinds: kinds, failures: failures,
      leftOut: notes.sorted { $0.key < $1.key }.map { $1 == 1 ? $0 : "\($0) (\($1) times)" },
      seconds: seconds)
  }
}
