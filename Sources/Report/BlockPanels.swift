import Files
import Alignment
import Checkpoint
import Foundation

/// |A(i|j)| / σ₁(i) for some blocks i and the blocks j nearest to each, of the first prompt that has coupling matrices.
///
/// Neighbouring blocks couple most strongly. Division by σ₁ of the panel's own Jacobian makes blocks comparable: no entry
/// exceeds 1, since |uᵀ J v| ≤ σ₁ for unit vectors.
struct BlockPanels {
  /// The largest numbers of blocks i, of blocks j for each, and of rows or columns of a panel that are drawn.
  private static let (mostRows, mostColumns, mostEntries) = (7, 7, 30)

  /// The panel of one pair of blocks.
  struct Panel {
    /// The block of the Jacobian and the block of the basis, as numbered in the run.
    let block: Int
    let basis: Int
    /// The panel's position in the figure.
    let row: Int
    let column: Int
    /// Row a, column b: |u_{j,a}ᵀ Jᵢ v_{j,b}| / σ₁(i); nil if it is not finite.
    let entries: [[Double?]]
  }

  /// The panels in row-major order.
  let panels: [Panel]
  let rows: Int
  let columns: Int
  /// The prompt, counted from 0.
  let prompt: Int
  /// The rank K, and how many rows and columns of A(i|j) are drawn.
  let rank: Int
  let shown: Int
  /// The number of blocks in the run.
  let blocks: Int

  /// nil if the run has no `couplings.safetensors` or does not couple blocks across depth. Throws `FileError` if the file is
  /// damaged.
  init?(_ run: ReportedRun) throws {
    let path = "\(run.path)/couplings.safetensors"
    guard run.kind == .depth, FileManager.default.fileExists(atPath: path) else { return nil }
    let file = try SafetensorsFile(path)
    let stored = file.tensors.map(\.name)
    let found = run.tables.enumerated().lazy.compactMap { p, tables in
      // If the run has several tokens, the first one.
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
      // A(i|i) is the diagonal matrix of the singular values of block i.
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

  /// The upper end of a colour scale shared by all runs: the largest, over runs, of the value that one in 200 of the entries
  /// with i ≠ j exceeds. Panels with i = j are excluded, because their diagonals, known by definition, would dominate the scale.
  static func scale(_ runs: [BlockPanels]) -> Double {
    let ends = runs.compactMap { run -> Double? in
      let entries = run.panels.filter { $0.block != $0.basis }
        .flatMap { $0.entries.joined().compactMap { $0 } }.sorted()
      return entries.isEmpty ? nil : entries[entries.count - 1 - entries.count / 200]
    }
    return ends.filter { $0 > 0 }.max() ?? 1
  }
}
