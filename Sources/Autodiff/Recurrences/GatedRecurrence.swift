import LinearAlgebra
import Weights

/// The settings of a linear recurrence over the tokens of a sequence. Each head has a state S (keys, values), 0 at
/// the start:
///
///     S̃ = exp(Δ_τ A) ∘ S_{τ−1},  S_τ = S̃ + k_τ δ_τᵀ,  y_τ = S_τᵀ q_τ,
///     δ_τ = v_τ  or, by the delta rule,  δ_τ = β_τ (v_τ − S̃ᵀ k_τ),
///
/// with a decay rate A, usually negative, for each head or for each head and key feature. Neighbouring heads share
/// the queries and keys of a group. Selective state spaces: Gu, Dao, arXiv 2312.00752; with one rate per head: Dao,
/// Gu, arXiv 2405.21060; the gated delta rule: Yang, Kautz, Hatamizadeh, arXiv 2412.06464.
public struct RecurrenceSettings: Sendable {
  /// The number of heads, each with a state of its own.
  public var heads: Int
  /// The number of groups of heads that share queries and keys.
  public var groups: Int
  /// The number of features of a head's keys and queries.
  public var keyDimension: Int
  /// The number of features of a head's values.
  public var valueDimension: Int
  /// A (heads) or (heads, keyDimension).
  public var rates: [Double]

  /// Creates settings from their properties.
  public init(heads: Int, groups: Int, keyDimension: Int, valueDimension: Int, rates: [Double]) {
    precondition(heads % groups == 0, "the number of heads must be a multiple of the groups")
    precondition(
      rates.count == heads || rates.count == heads * keyDimension,
      "one rate per head, or per feature of its keys")
    (self.heads, self.groups) = (heads, groups)
    (self.keyDimension, self.valueDimension) = (keyDimension, valueDimension)
    self.rates = rates
  }

  /// The group of head h.
  func group(of h: Int) -> Int { h * groups / heads }

  /// A of head h and key feature n.
  @inline(__always)
  func rate(_ h: Int, _ n: Int) -> Double {
    rates.count == heads ? rates[h] : rates[h * keyDimension + n]
  }
}

/// The inputs of a recurrence, one row per token.
public struct RecurrenceInputs<Scalar: RealScalar> {
  /// q (tokens, groups · keyDimension).
  public var queries: Variable<Scalar>
  /// k (tokens, groups · keyDimension).
  public var keys: Variable<Scalar>
  /// v (tokens, heads · valueDimension).
  public var values: Variable<Scalar>
  /// Δ (tokens, heads).
  public var steps: Variable<Scalar>
  /// β (tokens, heads) for the delta rule; nil without it.
  public var strengths: Variable<Scalar>?

  /// Creates inputs from their properties.
  public init(
    queries: Variable<Scalar>, keys: Variable<Scalar>, values: Variable<Scalar>,
    steps: Variable<Scalar>, strengths: Variable<Scalar>? = nil
  ) {
    (self.queries, self.keys, self.values) = (queries, keys, values)
    (self.steps, self.strengths) = (steps, strengths)
  }

  fileprivate var all: [Variable<Scalar>] {
    [queries, keys, values, steps] + (strengths.map { [$0] } ?? [])
  }

  func check(_ settings: RecurrenceSettings) {
    let keys = settings.groups * settings.keyDimension
    precondition(
      queries.columns == keys && self.keys.columns == keys
        && values.columns == settings.heads * settings.valueDimension
        && steps.columns == settings.heads
        && strengths?.columns ?? settings.heads == settings.heads,
      "the shapes of the inputs do not match the heads")
  }
}

/// The inputs of the recurrence of one sequence, as constants.
public final class RecurrenceCache<Scalar: RealScalar> {
  let inputs: RecurrenceInputs<Scalar>
  let rows: Range<Int>

  /// The inputs of the tokens in `rows`. Precondition: the inputs are constants.
  public init(_ inputs: RecurrenceInputs<Scalar>, rows: Range<Int>) {
    precondition(inputs.all.allSatisfy { !$0.isActive }, "cached inputs are constants: `detached`")
    (self.inputs, self.rows) = (inputs, rows)
  }
}

/// The recurrence of some sequences, evaluated only: y (tokens, heads · valueDimension), a constant. The rows of the
/// inputs, which are constants as well, are the tokens of the sequences. Cost: O(tokens · heads · keyDimension ·
/// valueDimension); memory for one state per head being computed.
public func sequenceRecurrence<Scalar: RealScalar>(
  _ caches: [RecurrenceCache<Scalar>], _ settings: RecurrenceSettings
) -> Variable<Scalar> {
  let rows = caches.map(\.inputs.keys.rows).max() ?? 0
  let out = Buffer<Scalar>(count: rows * settings.heads * settings.valueDimension)
  for cache in caches {
    cache.inputs.check(settings)
    forEachHead(settings, cache) { scan, h in
      for token in 0..<cache.rows.count {
        scan.decay(at: token)
        scan.update()
        scan.ask()
        for p in 0..<settings.valueDimension {
          out.base[(h * settings.valueDimension + p) * rows + cache.rows.lowerBound + token] =
            Scalar(scan.output(p))
        }
      }
    }
  }
  return Variable(
    rows: rows, columns: settings.heads * settings.valueDimension, buffer: out)
}

/// Runs `body` for every head of a sequence in parallel; each call has its own state.
func forEachHead<Scalar: RealScalar>(
  _ settings: RecurrenceSettings, _ cache: RecurrenceCache<Scalar>,
  _ body: (RecurrentHead<Scalar>, Int) -> Void
) {
  withoutActuallyEscaping(body) { body in
    nonisolated(unsafe) let (body, cache) = (body, cache)
    Engine.forEach(settings.heads) { h in
      body(RecurrentHead(settings, cache, head: h), h)
    }
  }
}
