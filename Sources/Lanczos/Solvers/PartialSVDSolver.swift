public import LinearAlgebra

/// Finds the largest singular triplets of an operator; a conforming type's stored properties are its settings.
public protocol PartialSVDSolver: Sendable {
  /// The `count` largest triplets of A, 1 ≤ count ≤ min(m, n), σ descending, with measured residual norms.
  ///
  /// Stopping early is a result (`report.outcome`), not an error; an impossible request or NaN throws. If the members of a
  /// team hold the vectors between them (`BatchedOperator.innerProducts`), all of them make this call, and each gets the
  /// same answer, with whole vectors; solvers that need whole vectors throw.
  func partialSVD(of a: any LinearOperator, count: Int) throws -> SingularTriplets

  /// The `count` largest triplets of every operator of a batch, in order; by default one solve after another.
  ///
  /// A solver that can share applications among them does. A failure caused by one operator is thrown as a
  /// `MemberError`.
  func partialSVDs(of batch: any BatchedOperator, count: Int) throws -> [SingularTriplets]
}

extension PartialSVDSolver {
  /// Solves the operators one after another.
  public func partialSVDs(
    of batch: any BatchedOperator, count: Int
  ) throws -> [SingularTriplets] {
    try solvedInTurn(batch, count: count)
  }

  /// Solves the operators one after another, also for solvers with a `partialSVDs` of their own.
  func solvedInTurn(_ batch: any BatchedOperator, count: Int) throws(MemberError)
    -> [SingularTriplets]
  {
    var found: [SingularTriplets] = []
    for p in 0..<batch.batch {
      do {
        found.append(try partialSVD(of: batch.member(p), count: count))
      } catch {
        throw MemberError(member: p, error: error)
      }
    }
    return found
  }
}

/// A failure of one operator of a batch.
public struct MemberError: Error, CustomStringConvertible {
  /// The operator's index in the batch, counted from 0.
  public let member: Int
  /// The error it caused.
  public let error: any Error

  /// What went wrong and what to do.
  public var description: String { "operator \(member) of the batch: \(error)" }

  init(member: Int, error: any Error) {
    self.member = member
    self.error = error
  }

  /// Runs `body` for a single operator and unwraps `MemberError`, since the index would say nothing.
  static func ofOne<Result>(_ body: () throws(MemberError) -> Result) throws -> Result {
    do { return try body() } catch { throw error.error }
  }
}
