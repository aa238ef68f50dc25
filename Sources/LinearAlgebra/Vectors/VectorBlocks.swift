/// Applies operators to many vectors, by calls with at most `width` vectors per member; blocks of vectors are split,
/// padded and reassembled here and nowhere else.
///
/// `blocks` are the vectors (rows) of each member in `active`; members may have different numbers of them. A member
/// whose block is used up takes no part in the remaining calls, and one whose block ends within a call is padded with
/// zeros. `call` receives (active, b, n) and writes (active, b, `length`). The results have as many rows as the
/// blocks.
func products<Failure: Error>(
  of blocks: [Matrix<Double>], active: [Int], length to: Int, width: Int,
  call: (
    _ v: Span<Double>, _ y: inout MutableSpan<Double>, _ vectors: Int, _ active: [Int]
  ) throws(Failure) -> Void
) throws(Failure) -> [Matrix<Double>] {
  precondition(blocks.count == active.count, "one block of vectors per active member")
  precondition(width >= 1, "an application needs at least one vector")
  let longest = blocks.map(\.rows).max() ?? 0
  var results = blocks.map { Matrix<Double>(rows: $0.rows, columns: to) }
  for start in stride(from: 0, to: longest, by: width) {
    let members = blocks.indices.filter { blocks[$0].rows > start }
    let from = blocks[members[0]].columns
    let b = min(width, longest - start)
    if members.count == 1 {  // nothing to reassemble
      let i = members[0]
      let source = blocks[i].elements
      var whole = results[i].elements.mutableSpan
      var target = whole.extracting(start * to..<(start + b) * to)
      try call(
        source.span.extracting(start * from..<(start + b) * from), &target, b, [active[i]])
      continue
    }
    var sources = [Double](repeating: 0, count: members.count * b * from)
    var targets = [Double](repeating: 0, count: members.count * b * to)
    for (place, i) in members.enumerated() {
      let rows = start..<min(start + b, blocks[i].rows)
      sources.replaceSubrange(
        place * b * from..<(place * b + rows.count) * from,
        with: blocks[i].elements[rows.lowerBound * from..<rows.upperBound * from])
    }
    var span = targets.mutableSpan
    try call(sources.span, &span, b, members.map { active[$0] })
    for (place, i) in members.enumerated() {
      let rows = start..<min(start + b, blocks[i].rows)
      results[i].elements.replaceSubrange(
        rows.lowerBound * to..<rows.upperBound * to,
        with: targets[place * b * to..<(place * b + rows.count) * to])
    }
  }
  return results
}
