/// ‖x‖, scaled by the largest entry, so that no square overflows or underflows. NaN or infinite if an entry is.
func euclideanNorm(_ x: borrowing Span<Double>) -> Double {
  var scale = 0.0
  for i in x.indices {
    let magnitude = abs(x[i])
    guard magnitude.isFinite else { return magnitude }
    scale = max(scale, magnitude)
  }
  guard scale > 0 else { return 0 }
  var square = 0.0
  for i in x.indices { square += (x[i] / scale) * (x[i] / scale) }
  return scale * square.squareRoot()
}
