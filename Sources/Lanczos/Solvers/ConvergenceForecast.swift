import RealModule

/// Decides when to estimate residual norms, so that small eigenproblems stay cheaper than the operator.
///
/// Estimates fall about geometrically, later a little faster: the next one is made when most of the way extrapolated
/// from the last two has been covered, and at most half as many products later as have been made.
struct ConvergenceForecast {
  private var products = 0
  private var next = 1
  private var last: (products: Int, ratio: Double)?

  /// Counts a product and returns whether to estimate after it.
  mutating func isDue() -> Bool {
    products += 1
    return products >= next
  }

  /// Notes that the worst estimate exceeded the limit by this factor, more than 1.
  mutating func missed(by factor: Double) {
    let ratio = Double.log(factor)
    var wait = products / 2
    if let last, ratio < last.ratio {
      let perProduct = (last.ratio - ratio) / Double(products - last.products)
      wait = Int(min(0.8 * ratio / perProduct, Double(wait)))
    }
    next = products + max(1, wait)
    last = (products, ratio)
  }
}
