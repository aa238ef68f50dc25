/// How well the linearised blocks alone map a token's first state to its last.
public enum LinearisedPath {
  /// cos((I + J^L) ⋯ (I + J¹) x⁰, x^L), with the same blocks on both sides; nil if either vector is zero or not
  /// finite.
  ///
  /// `image` is the product, which costs one application per block. Aubry et al., arXiv 2407.07810 (released code).
  public static func cosine(image: [Double], final: [Double]) -> Double? {
    precondition(image.count == final.count, "the states have different widths")
    let (a, b) = (euclideanNorm(image.span), euclideanNorm(final.span))
    guard a > 0, b > 0, a.isFinite, b.isFinite else { return nil }
    let product = zip(image, final).reduce(0) { $0 + ($1.0 / a) * ($1.1 / b) }
    return min(1, max(-1, product))
  }
}
