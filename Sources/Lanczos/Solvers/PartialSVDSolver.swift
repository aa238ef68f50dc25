public import LinearAlgebra

/// Finds the largest singular triplets of an operator. A value whose stored properties are its settings.
public protocol PartialSVDSolver: Sendable {
  /// The `count` largest triplets of A, 1 ≤ count ≤ min(m, n), σ descending, residual norms measured.
  ///
  /// Stopping early is a result (`report.outcome`), not an error; errors are for impossible requests and NaN.
  func partialSVD(of a: any LinearOperator, count: Int) throws -> SingularTriplets

  /// The `count` largest triplets of every operator of a batch, in its order; by themselves, one after another.
  ///
  /// A solver that can solve them together, by applications they share, does. What one of the operators is to blame for is
  /// thrown as a `MemberError`.
  func partialSVDs(of batch: any BatchedOperator, count: Int) throws -> [SingularTriplets]
}

extension PartialSVDSolver {
  /// One solve after another.
  public func partialSVDs(
    of batch: any BatchedOperator, count: Int
  ) throws -> [SingularTriplets] {
    try solvedInTurn(batch, count: count)
  }

  /// One solve after another, also for solvers that have a way of their own.
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

/// What went wrong with one operator of a batch.
public struct MemberError: Error, CustomStringConvertible {
  /// Which one, counted from 0.
  public let member: Int
  /// What happened.
  public let error: any Error

  /// What is wrong and what to do.
  public var description: String { "operator \(member) of the batch: \(error)" }

  init(member: Int, error: any Error) {
    self.member = member
    self.error = error
  }

  /// `body` for a single operator, which needs no number: its errors as they are.
  static func ofOne<Result>(_ body: () throws(MemberError) -> Result) throws -> Result {
    do { return try body() } catch { throw error.error }
  }
}
