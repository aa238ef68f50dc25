import LinearAlgebra

/// (I + J^l) ⋯ (I + J¹) x⁰, one row per Jacobian of a group, carried through the blocks in order.
///
/// Each factor is applied by the team that has the block's linearizations, which takes the image from the team before it and
/// passes it on.
struct LinearisedImage {
  /// The image after `depth` blocks.
  private var y: Matrix<Double>
  private var depth = 0
  private let share: GroupShare
  /// Blocks of this team whose predecessors are not all done, in order.
  private var waiting: [(layer: Int, batches: [JacobianBatch])] = []
  /// Blocks of other teams.
  private var others: Set<Int> = []

  /// The image x⁰ before the first block.
  init(_ x: Matrix<Double>, _ share: GroupShare) { (y, self.share) = (x, share) }

  /// y ← (I + J) y through a block of this team, now or when the image before it is known.
  mutating func follow(_ batches: [JacobianBatch], layer: Int) throws {
    waiting.append((layer, batches))
    try follow(waits: false)
  }

  /// Leaves a block to another team.
  mutating func leave(layer: Int) throws {
    others.insert(layer)
    if depth > 0, depth == layer - 1, share.isOwn(layer: depth) {
      try share.post(image: y, after: depth)
    }
  }

  /// Carries the image through all remaining blocks of this team.
  mutating func finish() throws { try follow(waits: true) }

  /// The image before a block if it is known to this team.
  func before(layer: Int) -> Matrix<Double>? { depth == layer - 1 ? y : nil }

  /// The image after a block, once it is known.
  func after(layer: Int) throws -> Matrix<Double>? {
    depth == layer ? y : try share.image(after: layer, like: y, waits: true)
  }

  private mutating func follow(waits: Bool) throws {
    while let (layer, batches) = waiting.first {
      if depth < layer - 1 {
        guard let known = try share.image(after: layer - 1, like: y, waits: waits) else { return }
        y = known
      }
      for batch in batches { apply(batch) }
      depth = layer
      waiting.removeFirst()
      if others.contains(layer + 1) { try share.post(image: y, after: layer) }
    }
  }

  /// y ← (I + J) y, each row of y through its own Jacobian in the batch.
  private mutating func apply(_ batch: JacobianBatch) {
    let step = batch.step ?? batch.rows.step(at: y, batch.members)
    for (r, jacobian) in batch.members.enumerated() {
      for c in 0..<y.columns { y[jacobian, c] += step[r * y.columns + c] }
    }
    batch.releaseWorkspace()
  }
}

extension BatchedOperator {
  /// J y for the rows of y that belong to these members, one after another.
  func step(at y: Matrix<Double>, _ members: [Int]) -> [Double] {
    let part = members.flatMap { y.row($0) }
    var step = part
    var span = step.mutableSpan
    apply(part.span, into: &span, vectors: 1, active: Array(members.indices))
    return step
  }
}
