import Model

/// The memory that the results of a run take while they are written: one prompt's at a time, and a little per prompt.
///
/// The sizes of numbers and names while they are encoded were measured, not derived: they are those of Foundation's encoder.
struct ResultCost: Sendable {
  /// Bytes for all prompts: names and shapes of arrays, and what the statistics read.
  let perRun: Int
  /// Bytes for the largest prompt and its largest table, one at a time, and for the files' buffers.
  let perPrompt: Int

  /// Bytes per number in a value that is being encoded as JSON, its text included.
  static let encodedNumber = 150
  /// Bytes per array to be written: its name and its shape.
  private static let arrayEntry = 130
  /// Bytes per table of which only the mean is kept.
  private static let condensedTable = 450

  init(_ resolved: ResolvedSettings, width: Int, layers: Int, tokens: [Int], saveHiddenStates: Bool)
  {
    let (blocks, k, vector) = (resolved.layers.count, resolved.ranks.max() ?? 1, width * 8)
    let isDepth = resolved.kind == .depth
    let readings = 4 * resolved.forms.count * resolved.ranks.count
    var (arrays, tables, most) = (0, 0, 0)
    for (p, selections) in resolved.selections.enumerated() {
      let places = isDepth ? selections.count : blocks
      let side = isDepth ? blocks : selections.count
      let jacobians = selections.count * blocks
      arrays += 3 * jacobians + places + (saveHiddenStates ? layers + 1 : 0)
      tables += places * readings
      // Each has a bound beside it.
      let scores =
        side * side * 2 * 16 * min(readings, CouplingTables.readings(atSide: side))
        + JSONList.most * Self.encodedNumber
      let overlaps =
        side * resolved.top * 2 * vector + side * side * 3 * 8 * resolved.ranks.count
        + JSONList.most * Self.encodedNumber
      // The couplings of a row as stored and one by one, each with its Gram matrix; the bases and their stacked vectors.
      let row =
        side * resolved.forms.count * (k * k * 32 + 240) + side * (resolved.top + k) * 2 * vector
      let outline =
        (jacobians * (8 * resolved.top + 40) + tokens[p] * (3 * layers + 8)) * 3
        * Self.encodedNumber / 2
      let one = resolved.top * 2 * vector * 2
      most = max(most, outline, max(scores + row, overlaps) + outline / 3, one)
    }
    perRun = arrays * Self.arrayEntry + tables * Self.condensedTable
    // Buffers grow as they fill: that of the arrays to twice 1 MB, those of the tables and the record to a quarter of that.
    perPrompt =
      most + min(3 << 20, 2 * resolved.selections.joined().count * blocks * resolved.top * vector)
  }
}
