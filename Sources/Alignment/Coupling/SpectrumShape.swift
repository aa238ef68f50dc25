/// Properties of a list of singular values s₁ ≥ s₂ ≥ ….
public enum SpectrumShape {
  /// (sₖ − sₖ₊₁)/s₁, one fewer than there are values; nil if s₁ = 0.
  ///
  /// If a gap is 0 to working accuracy, the vectors on both sides of it are not determined.
  public static func relativeGaps(_ s: [Double]) -> [Double]? {
    guard let first = s.first, first > 0, first.isFinite else { return nil }
    return zip(s, s.dropFirst()).map { ($0 - $1) / first }
  }

  /// The fit of 1/s₁(l) against l by ordinary least squares. It is a straight line if s₁ is inversely proportional to depth, as
  /// property RA4 of residual alignment states (Li and Papyan, arXiv 2401.09018).
  ///
  /// `leading[i]` is s₁ of block `layers[i]`; blocks before `start` are left out (the authors' code starts at 10).
  /// nil if fewer than 3 remain, or one of them has s₁ = 0.
  public static func inverseLeadingFit(
    leading: [Double], layers: [Int], from start: Int = 1
  ) -> LineFit? {
    precondition(leading.count == layers.count, "one value per layer")
    let kept = zip(layers, leading).filter { $0.0 >= start }
    return LineFit(kept.map { Double($0.0) }, kept.map { 1 / $0.1 })
  }
}
