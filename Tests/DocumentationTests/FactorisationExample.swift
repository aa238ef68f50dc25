import Lanczos
import LinearAlgebra

/// The `count` largest singular values, by a rule for stopping of one's own: when a step no longer changes them by much.
func settledValues(of a: any LinearOperator, count: Int, change: Double) throws -> [Double] {
  let a = CheckedOperator(a, isTall: true)
  var process = BlockBidiagonalization(of: a, blockSize: 4)
  var last: [Double] = []
  while try process.expand(by: a) {
    let ritz = try process.ritzTriplets(count)
    if last.count == count, zip(ritz.values, last).allSatisfy({ $0 - $1 < change * $0 }) { break }
    last = ritz.values
  }
  return last
}
