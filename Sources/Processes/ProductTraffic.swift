/// What each member of a team hands to the others for products of residual Jacobians whose block they hold together.
///
/// Each member applies its heads and its hidden units, and the parts are summed: those of J v where they are added to the stream,
/// those of Jᵀ u where they leave it. So in either direction a product of b vectors with the Jacobians of r tokens of a model of
/// width d hands over
///
///     h · r · d · b · s bytes in h sums,
///
/// where s is 4 or 8, the bytes per number of the products' precision, and h the number of sums: 2 for a block whose halves follow
/// each other, 1 for a parallel block that needs no norm after them, and 1 for a single half. A solver's vectors are distributed by
/// rows and gathered first, which each of S members does with its own d / S rows:
///
///     8 · r · d · b / S bytes more in 1 call.
///
/// These are the sizes of the operands, as `Communicator.traffic` counts them. A network moves up to twice as much: in a ring,
/// each member sends 2 (S − 1) / S times the operand of a sum.
public struct ProductTraffic: Sendable {
  /// h, the number of sums in either direction.
  public var sums: Int
  /// r, the number of Jacobians that are applied together.
  public var rows = 1
  /// d, the width of the residual stream.
  public var width: Int
  /// s, the bytes per number.
  public var scalarBytes: Int
  /// S, the number of members.
  public var members: Int

  /// The traffic of products whose block takes `sums` sums.
  public init(sums: Int, rows: Int = 1, width: Int, scalarBytes: Int, members: Int) {
    (self.sums, self.rows, self.width) = (sums, rows, width)
    (self.scalarBytes, self.members) = (scalarBytes, members)
  }

  /// The traffic of one product of b vectors that every member holds as a whole.
  public func product(vectors b: Int) -> Traffic {
    guard members > 1 else { return Traffic() }
    return Traffic(calls: sums, bytes: sums * rows * width * b * scalarBytes)
  }

  /// The traffic of one product of b vectors of which the member holds `share` elements; nil stands for the most that any holds.
  public func distributedProduct(vectors b: Int, share: Int? = nil) -> Traffic {
    guard members > 1 else { return Traffic() }
    let held = share ?? (width + members - 1) / members
    return product(vectors: b)
      + Traffic(calls: 1, bytes: MemoryLayout<Double>.stride * rows * held * b)
  }
}

extension Traffic {
  /// This many calls and bytes.
  public init(calls: Int, bytes: Int) { (self.calls, self.bytes) = (calls, bytes) }

  /// The traffic of both.
  public static func + (a: Traffic, b: Traffic) -> Traffic {
    Traffic(calls: a.calls + b.calls, bytes: a.bytes + b.bytes)
  }

  /// The traffic of `b` after `a` has been subtracted.
  public static func - (a: Traffic, b: Traffic) -> Traffic {
    Traffic(calls: a.calls - b.calls, bytes: a.bytes - b.bytes)
  }

  /// The traffic of `count` times the same.
  public static func * (count: Int, a: Traffic) -> Traffic {
    Traffic(calls: count * a.calls, bytes: count * a.bytes)
  }
}
