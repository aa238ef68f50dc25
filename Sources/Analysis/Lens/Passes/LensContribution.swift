import LinearAlgebra

/// What one prompt adds to a sum of a fit, and its cost.
struct LensContribution {
  let product: Matrix<Double>
  let cost: LensCost

  init(_ product: Matrix<Double>, _ cost: LensCost) { (self.product, self.cost) = (product, cost) }
}

extension ArrayFile {
  /// The matrix of this name, if it has this shape.
  func matrix(_ name: String, rows: Int, columns: Int) -> Matrix<Double>? {
    matrix(name).flatMap { $0.rows == rows && $0.columns == columns ? $0 : nil }
  }
}

/// The contributions that have been computed but not yet added.
///
/// Sums of floating-point numbers are taken in the order of the prompts, whichever process computed which, so that their bits do
/// not depend on the number of processes. A process that works alone adds each contribution at once, and keeps it in memory until
/// then; several keep them in the folder, one file each, until the sum that contains them is kept.
final class LensContributions {
  private let units: KeptUnits
  private let isShared: Bool
  private var own: [String: LensContribution] = [:]

  init(_ units: KeptUnits, isShared: Bool) { (self.units, self.isShared) = (units, isShared) }

  /// Keeps a contribution under a name. Throws `RunError.cannotWrite`.
  func keep(_ contribution: LensContribution, as name: String) throws {
    guard isShared else {
      own[name] = contribution
      return
    }
    var file = ArrayFile()
    file.append("product", contribution.product)
    try units.keep(file, notes: contribution.cost, as: name)
  }

  /// Whether there is a contribution of this name. Throws `RunError.cannotRead`.
  func contain(_ name: String) throws -> Bool {
    try own[name] != nil || units.unit(name)?.notes(LensCost.self) != nil
  }

  /// The contribution of this name and shape, no longer kept in memory; nil if there is none. Throws `RunError.cannotRead`.
  func take(_ name: String, rows: Int, columns: Int) throws -> LensContribution? {
    if let contribution = own.removeValue(forKey: name) { return contribution }
    guard let file = try units.unit(name), let cost = file.notes(LensCost.self),
      let product = file.matrix("product", rows: rows, columns: columns)
    else { return nil }
    file.release()
    return LensContribution(product, cost)
  }

  /// Removes contributions of these names from the folder.
  func remove(_ names: [String]) { names.forEach(units.remove) }
}
