import Alignment
import Checkpoint
import Foundation

extension Figure {
  /// Blocks of |A| that are drawn, and of each at most so many entries a side.
  private static let (mostBlocks, mostEntries) = (8, 30)

  /// The magnitudes of A(i|j) = Uⱼᵀ Jᵢ Vⱼ for some blocks i and j, entry by entry, of the first prompt.
  ///
  /// nil when the run has no `couplings.safetensors`, or not of coupling across depth. Throws `CheckpointError` when the
  /// file is damaged.
  static func blocks(_ run: ReportedRun) throws -> Figure? {
    let path = "\(run.path)/couplings.safetensors"
    guard run.kind == .depth, let names = run.tables.first?.first?.rows, names.count > 1,
      FileManager.default.fileExists(atPath: path)
    else { return nil }
    let file = try SafetensorsFile(path)
    // Of several tokens the first.
    let found = file.tensors.map(\.name).first {
      $0 == "p0.A" || ($0.hasPrefix("p0.t") && $0.hasSuffix(".A"))
    }
    guard let found else { return nil }
    let tensor = try file.tensor(found)  // (L, L, K, K)
    let rank = tensor.shape.last ?? 0
    guard tensor.shape == [names.count, names.count, rank, rank], rank > 0 else {
      throw CheckpointError.wrongShape(
        file: path, tensor: found, shape: tensor.shape,
        needed: "[\(names.count), \(names.count), K, K]")
    }
    let (chosen, shown) = (spread(names.count, most: mostBlocks), min(rank, mostEntries))
    // One picture: panels of shown × shown entries, a line of nothing between them.
    let side = shown + 1
    var table = DataTable(
      columns: ["column", "row", "block j", "block i", "entry b", "entry a", "|A|"])
    var largest = 0.0
    for (p, i) in chosen.enumerated() {
      let row = tensor.rows(i..<i + 1).numbers()  // (L, K, K)
      for a in 0..<side {
        for (q, j) in chosen.enumerated() {
          for b in 0..<side {
            let isEntry = a < shown && b < shown
            let value = isEntry ? Double(abs(row[(j * rank + a) * rank + b])) : nil
            if let value, value.isFinite { largest = max(largest, value) }
            table.append([
              .integer(q * side + b), .integer(p * side + a), .integer(names[j]),
              .integer(names[i]), .integer(b + 1), .integer(a + 1), .number(value),
            ])
          }
        }
      }
    }
    try file.checkIntact()
    let extent = chosen.count * side
    let tics = chosen.enumerated().map { p, i in
      "'\(names[i])' \(Double(p * side) + Double(shown - 1) / 2)"
    }.joined(separator: ", ")
    let gaps = (0..<chosen.count).flatMap { p in
      let at = Double(p * side + shown)
      return [
        "from \(at - 0.5), graph 0 to \(at + 0.5), graph 1",
        "from graph 0, first \(at - 0.5) to graph 1, first \(at + 0.5)",
      ]
    }.enumerated().map {
      "set object \($0 + 1) rectangle \($1) front fillcolor rgb '#ffffff' fillstyle solid noborder"
    }
    // The cube root of a magnitude is drawn, so that small ones are seen beside the largest; the scale names magnitudes.
    let marks = roundMagnitudes(to: largest).map {
      "'\(String(format: "%g", $0))' \(cbrt($0))"
    }
    return Figure(
      name: "\(run.stem)-blocks", title: "Jacobians in each other's bases",
      caption: "|A(i|j)| = |Uⱼᵀ Jᵢ Vⱼ|, the leading \(shown) × \(shown) entries of K = \(rank), "
        + "for \(chosen.count == names.count ? "all" : "\(chosen.count) of \(names.count)") blocks; "
        + "first prompt of \(run.label), last block \(run.record.settings.last.rawValue), "
        + "site \(run.record.settings.site.rawValue). A bright diagonal: j's singular vectors "
        + "diagonalise block i. One colour scale for all panels, from 0 to the largest magnitude, "
        + "\(short(largest)); it grows with the cube root, so that weak panels can be read.",
      height: 1120, tables: [table],
      commands: """
        unset grid
        set tics scale 0
        set xtics (\(tics))
        set ytics (\(tics))
        set border 0
        set xrange [-0.5:\(Double(extent) - 0.5)]
        set yrange [\(Double(extent) - 0.5):-0.5]
        set xlabel 'block j: the basis'
        set ylabel 'block i: the Jacobian'
        set cbrange [0:\(largest > 0 ? cbrt(largest) : 1)]
        set cbtics (\(marks.joined(separator: ", ")))
        set cblabel '|A(i|j)|'
        set colorbox user origin screen 0.90, 0.09 size screen 0.014, 0.89
        \(gaps.joined(separator: "\n"))
        \(Axis.panel(x: 0.07...0.885, y: 0.09...0.98))
        plot name.'.dat' using 1:2:($7 ** (1.0 / 3)) with \(image(extent * extent))
        """)
  }

  /// 0 and round numbers up to `largest` whose cube roots are not too near each other.
  private static func roundMagnitudes(to largest: Double) -> [Double] {
    guard largest > 0, largest.isFinite else { return [0] }
    var marks: [Double] = []
    var scale = pow(10, floor(log10(largest)))
    // Three decades: what is smaller lies within a tenth of the scale's length.
    for _ in 0..<4 {
      for mark in [5, 2, 1].map({ $0 * scale }) where mark <= largest {
        let isFree = ([largest * 2] + marks).allSatisfy {
          cbrt($0) - cbrt(mark) > 0.06 * cbrt(largest)
        }
        if isFree, cbrt(mark) > 0.06 * cbrt(largest) { marks.append(mark) }
      }
      scale /= 10
    }
    return [0] + marks.reversed()
  }

  /// Some of `count` places, first and last among them, evenly between.
  static func spread(_ count: Int, most: Int) -> [Int] {
    guard count > most else { return Array(0..<count) }
    return (0..<most).map { ($0 * (count - 1) + (most - 1) / 2) / (most - 1) }
  }
}
