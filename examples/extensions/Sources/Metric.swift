/// How many singular values carry a Jacobian: (Σ σₖ²)² / Σ σₖ⁴, from 1 (one direction) to their number (all alike).
///
/// nil when all values are 0. Unchanged when the Jacobian is multiplied by a number.
func participationRatio(_ singularValues: [Double]) -> Double? {
  guard let largest = singularValues.max(), largest > 0, largest.isFinite else { return nil }
  // Divided before they are squared: the scale of the Jacobian cannot overflow.
  let squares = singularValues.map { ($0 / largest) * ($0 / largest) }
  let sum = squares.reduce(0, +)
  return sum * sum / squares.reduce(0) { $0 + $1 * $1 }
}
