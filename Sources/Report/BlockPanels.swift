import Files
import Alignment
import Checkpoint
import Foundation

/// |A(i|j)| / σ₁(i) for some blocks i, each beside its nearest blocks j, of the first prompt that has them.
///
/// Neighbours are what couples most, and σ₁ of the panel's own Jacobian makes blocks of any size comparable: no entry is
/// above 1, since |uᵀ J v| ≤ σ₁ for unit vectors.
struct BlockPanels {
  /// Blocks i and blocks j of each that are drawn at most, and entries a side.
  private static let (mostRows, mostColumns, mostEntries) = (7, 7, 30)

  /// One pair.
  struct Panel {
    /// The Jacobian's block and the basis's, as the run names them.
    let block: Int
    let basis: Int
    /// Where it stands.
    let row: Int
    let column: Int
    /// Row a, column b: |u_{j,a}ᵀ Jᵢ v_{j,b}| / σ₁(i); nil if that is not a number.
    let entries: [[Double?]]
  }

  /// Row after row.
  let panels: [Panel]
  let rows: Int
  let columns: Int
  /// From 0.
  let prompt: Int
  /// K, and how many of its entries a side are drawn.
  let rank: Int
  let shown: Int
  /// Blocks there are.
  let blocks: Int

  /// nil when the run has no `couplings.safetensors`, or not of coupling across depth. Throws `FileError` when the
  /// file is damaged.
  init?(_ run: ReportedRun) throws {
    let path = "\(run.path)/couplings.safetensors"
    guard run.kind == .depth, FileManager.default.fileExists(atPath: path) else { return nil }
    let file = try SafetensorsFile(path)
    let stored = file.tensors.map(\.name)
    let found = run.tables.enumerated().lazy.compactMap { p, tables in
      // Of several tokens the first.
      stored.first { $0 == "p\(p).A" || $0.hasPrefix("p\(p).t") && $0.hasSuffix(".A") }.map {
        (prompt: p, tensor: $0, names: tables.first?.rows ?? [])
      }
    }.first
    guard let found, found.names.count > 1 else { return nil }
    let (names, tensor) = (found.names, try file.tensor(found.tensor))  // (L, L, K, K)
    let rank = tensor.shape.last ?? 0
    guard tensor.shape == [names.count, names.count, rank, rank], rank > 0 else {
      throw FileError.wrongShape(
        file: path, tensor: found.tensor, shape: tensor.shape,
        needed: "[\(names.count), \(names.count), K, K]")
    }
    let shown = min(rank, Self.mostEntries)
    let columns = min(names.count, Self.mostColumns)
    let chosen = Figure.spread(names.count, most: Self.mostRows)
    (prompt, blocks, rows, self.columns) = (found.prompt, names.count, chosen.count, columns)
    (self.rank, self.shown) = (rank, shown)
    panels = chosen.enumerated().flatMap { row, i in
      let a = tensor.rows(i..<i + 1).numbers()  // (L, K, K)
      let entry = { (j: Int, r: Int, c: Int) in Double(abs(a[(j * rank + r) * rank + c])) }
      // A(i|i) is the diagonal of i's singular values.
      let leading = entry(i, 0, 0)
      let first = min(max(i - columns / 2, 0), names.count - columns)
      return (0..<columns).map { column in
        let j = first + column
        let entries = (0..<shown).map { r in
          (0..<shown).map { c -> Double? in
            let share = entry(j, r, c) / leading
            return share.isFinite ? share : nil
          }
        }
        return Panel(
          block: names[i], basis: names[j], row: row, column: column, entries: entries)
      }
    }
    try file.checkIntact()
  }

  /// The upper end of one colour scale for all of these: one in 200 of the entries with i ≠ j is above it, in the run where
  /// they are largest. The diagonals of i = j, which are there by definition, would leave nothing of it to the others.
  static func scale(_ runs: [BlockPanels]) -> Double {
    let ends = runs.compactMap { run -> Double? in
      let entries = run.panels.filter { $0.block != $0.basis }
        .flatMap { $0.entries.joined().compactMap { $0 } }.sorted()
      return entries.isEmpty ? nil : entries[entries.count - 1 - entries.count / 200]
    }
    return ends.filter { $0 > 0 }.max() ?? 1
  }
}
