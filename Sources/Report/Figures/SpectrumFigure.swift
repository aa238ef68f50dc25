import Alignment
import Analysis

extension Figure {
  /// Singular values of every block, and 1/σ₁ along depth with its least-squares line.
  ///
  /// nil if there is only a single block with a single value.
  static func spectra(_ run: ReportedRun) -> Figure? {
    let blocks = BlockSpectrum.all(run.prompts)
    let rank = blocks.map(\.values.count).max() ?? 0
    let inverse = blocks.filter { $0.inverseLeading != nil }
    guard rank > 1 || inverse.count > 1 else { return nil }
    var values = DataTable(columns: ["block", "k", "singular value"])
    var leading = DataTable("-leading", columns: ["block", "1/s1", "standard error", "fit"])
    let start = run.prompts.lazy.compactMap(\.inverseLeadingFit).first?.start
    let fitted = inverse.filter { $0.block >= start ?? .max }
    let fit = LineFit(
      fitted.map { Double($0.block) }, fitted.map { $0.inverseLeading?.mean ?? .nan })
    for block in blocks {
      for (k, value) in block.values.enumerated() {
        // The axis is logarithmic.
        values.append([
          .integer(block.block), .integer(k + 1), .number(value > 0 ? value : nil),
        ])
      }
      values.endLine()
      let line = fit.flatMap { f in
        block.block >= start ?? .max ? f.intercept + f.slope * Double(block.block) : nil
      }
      leading.append([
        .integer(block.block), .number(block.inverseLeading?.mean),
        .number(block.inverseLeading?.standardError), .number(line),
      ])
    }
    let (low, high) = (blocks.first?.block ?? 1, blocks.last?.block ?? 1)
    var panels: [String] = []
    if rank > 1 {
      let wide = inverse.count < 2
      panels.append(
        """
        set logscale y
        set xrange [\(1 - 0.03 * Double(rank)):\(1.03 * Double(rank))]
        set yrange \(Axis.range(blocks.flatMap { $0.values.map { $0 } }, isLogarithmic: true))
        set ytics \(Axis.logarithmicTics(blocks.flatMap { $0.values.map { $0 } }))
        set xtics \(Axis.integerStep(rank))
        set xlabel 'k'
        set ylabel 'singular value σₖ'
        set cbrange [\(low):\(high > low ? high : low + 1)]
        set cbtics \(Axis.integerStep(high - low + 1, most: 8))
        \(blocks.count > 1 ? "set cblabel 'block'; set colorbox user origin screen \(wide ? 0.93 : 0.455), 0.15 size screen 0.012, 0.80" : "unset colorbox")
        \(Axis.panel(x: 0.085...(wide ? 0.91 : 0.44), y: 0.15...0.95))
        plot name.'.dat' using 2:3:1 with \(rank > 30 ? "lines" : "linespoints pt 7 ps 0.4") lw 1.5 lc palette
        unset logscale y
        """)
    }
    var fitText = ""
    if inverse.count > 1 {
      var curves = [
        "name.'-leading.dat' using 1:2 with linespoints pt 7 ps 0.8 lw 1 lc '\(Palette.main)'"
      ]
      if inverse.contains(where: { $0.inverseLeading?.standardError != nil }) {
        // Error bars are drawn before the points, since a bar erases what is under its centre.
        curves.insert(
          "name.'-leading.dat' using 1:2:3 with yerrorbars pt 0 lw 1.5 lc '\(Palette.main)'", at: 0)
      }
      if let fit, let start {
        let share = fit.rSquared.map { ", R² = \(short($0))" } ?? ""
        curves.append(
          "name.'-leading.dat' using 1:4 with lines lw 3 lc '\(Palette.other)' "
            + "title 'least squares\(share)'")
        fitText =
          " Line: least squares from block \(start), slope \(short(fit.slope)) per block\(share)."
      }
      let errors = inverse.flatMap { b in
        [-1.0, 0, 1].map { side in
          b.inverseLeading.map { $0.mean + side * ($0.standardError ?? 0) }
        }
      }
      let shown = errors + fitted.map { b in fit.map { $0.intercept + $0.slope * Double(b.block) } }
      panels.append(
        """
        unset colorbox
        set xrange \(Axis.range(blocks.map { Double($0.block) }))
        set yrange \(Axis.range(shown))
        set xtics \(Axis.integerStep(high - low + 1))
        set ytics auto
        set xlabel 'block'
        set ylabel '1/σ₁' offset 1
        set key at graph 0.5, graph 1.02 bottom center
        \(Axis.panel(x: (rank > 1 ? 0.62 : 0.08)...0.98, y: 0.15...0.90))
        plot \(curves.joined(separator: ", "))
        """)
    }
    return Figure(
      name: "\(run.stem)-spectra", title: "Singular values along depth",
      caption: "Leading \(rank) singular values of every block's residual Jacobian, "
        + (run.prompts.count > 1 ? "mean over \(run.scope)" : "one prompt of \(run.label)")
        + (blocks.contains { $0.jacobians > 1 } ? " and over the tokens of each; " : "; ")
        + "last block \(run.record.settings.last.rawValue), "
        + "site \(run.record.settings.site.rawValue)."
        + (inverse.count > 1 ? " 1/σ₁: the mean of the reciprocal of the largest." + fitText : "")
        + certainty(run),
      height: 560, tables: inverse.count > 1 ? [values, leading] : [values],
      commands: "set multiplot\n" + panels.joined(separator: "\n") + "\nunset multiplot",
      live: .spectra(run))
  }
}

/// A sentence about certificates, error bounds and clusters of the singular values.
private func certainty(_ run: ReportedRun) -> String {
  let lines = CertaintyLines(run.prompts.flatMap(\.layers)).lines
  guard !lines.isEmpty else { return "" }
  let statements = lines.filter { !$0.hasPrefix(" ") }.map { line in
    line.hasSuffix(":")
      ? line + lines.filter { $0.hasPrefix(" ") }.joined(separator: ",") : line
  }
  return " Certainty: " + statements.joined(separator: "; ") + "."
}

/// Means over the Jacobians of one block.
struct BlockSpectrum {
  /// The block, counted from 1.
  let block: Int
  /// The means of σₖ over Jacobians.
  let values: [Double]
  /// The error bound of each mean, which is the mean of the bounds; nil if one of them is unknown.
  let bounds: [Double]?
  /// The estimate of 1/σ₁ over prompts, each represented by the mean over its Jacobians with σ₁ > 0; nil if there are none.
  let inverseLeading: MeanEstimate?
  /// The largest number of Jacobians in one prompt.
  let jacobians: Int

  /// The spectra of all blocks, in order of depth.
  static func all(_ prompts: [PromptRecord]) -> [BlockSpectrum] {
    let layers = prompts.map { Dictionary(grouping: $0.layers, by: \.layer) }
    return Set(layers.flatMap(\.keys)).sorted().map { block in
      let prompts = layers.map { $0[block] ?? [] }
      let all = prompts.flatMap { $0.map(\.singularValues) }
      let count = all.map(\.count).min() ?? 0
      let bounds = prompts.flatMap { $0.compactMap(\.bound) }
      let areBounded = bounds.count == all.count && bounds.allSatisfy { $0.count >= count }
      return BlockSpectrum(
        block: block,
        values: (0..<count).compactMap { k in MeanEstimate(all.map { $0[k] })?.mean },
        bounds: areBounded
          ? (0..<count).map { k in bounds.reduce(0) { $0 + $1[k] } / Double(max(bounds.count, 1)) }
          : nil,
        inverseLeading: MeanEstimate(
          prompts.compactMap { jacobians in
            MeanEstimate(
              jacobians.compactMap { $0.singularValues.first }.filter { $0 > 0 }.map { 1 / $0 })?
              .mean
          }), jacobians: prompts.map(\.count).max() ?? 0)
    }
  }
}
