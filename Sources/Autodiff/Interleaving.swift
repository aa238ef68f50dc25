import LinearAlgebra
import Weights

/// The memory layout of b matrices of some rows outside a linearization.
enum VectorOrder: Sendable {
  /// (b, rows, columns): each vector is a whole matrix.
  case vectors
  /// (active, b, columns): each active row has b vectors. `places` gives every row's index among the active ones; nil
  /// marks an inactive row, whose input is zero and whose output is dropped.
  case rows(places: [Int?], active: Int)

  /// The number of rows, out of `all`, that exist outside.
  func rows(of all: Int) -> Int {
    switch self {
    case .vectors: return all
    case .rows(let places, let active):
      precondition(places.count == all, "a place for every row")
      return active
    }
  }

  /// The row at which row r of vector j begins; nil for an inactive one.
  @inline(__always)
  fileprivate func start(_ j: Int, _ r: Int, _ b: Int, _ rows: Int) -> Int? {
    switch self {
    case .vectors: j * rows + r
    case .rows(let places, _): places[r].map { $0 * b + j }
    }
  }
}

/// Runs a transposition by tiles that fit the first-level cache on both sides, strips of columns in parallel on all
/// threads.
///
/// Every tile writes its own elements, so the callers' pointers may be shared.
@inline(__always)
private func forEachTile(
  _ tangents: Int, _ columns: Int,
  _ body: @Sendable (_ tangents: Range<Int>, _ columns: Range<Int>) -> Void
) {
  let (side, strip) = (32, 64)
  let strips = (columns + strip - 1) / strip
  @Sendable func run(_ i: Int) {
    let part = i * strip..<min(columns, (i + 1) * strip)
    for tangent in stride(from: 0, to: tangents, by: side) {
      body(tangent..<min(tangents, tangent + side), part)
    }
  }
  if tangents * columns < 1 << 15 {
    for i in 0..<strips { run(i) }
  } else {
    Engine.forEach(strips, run)
  }
}

/// Interleaves: vectors → feature c of row r of vector j at [(c · rows + r) · b + j].
@_specialize(where Outer == Double, Scalar == Float)
@_specialize(where Outer == Double, Scalar == Double)
@_specialize(where Outer == Float, Scalar == Float)
@_specialize(where Outer == Float, Scalar == Double)
func interleave<Outer: RealScalar, Scalar: RealScalar>(
  _ source: UnsafePointer<Outer>, _ shape: (rows: Int, columns: Int), _ b: Int,
  _ order: VectorOrder, into target: UnsafeMutablePointer<Scalar>
) {
  let tangents = shape.rows * b
  nonisolated(unsafe) let (source, target) = (source, target)
  forEachTile(tangents, shape.columns) { tile, columns in
    for tangent in tile {
      if let start = order.start(tangent % b, tangent / b, b, shape.rows) {
        let row = source + start * shape.columns
        for c in columns { target[c * tangents + tangent] = converted(row[c]) }
      } else {
        for c in columns { target[c * tangents + tangent] = 0 }
      }
    }
  }
}

/// The inverse of `interleave`.
@_specialize(where Outer == Double, Scalar == Float)
@_specialize(where Outer == Double, Scalar == Double)
@_specialize(where Outer == Float, Scalar == Float)
@_specialize(where Outer == Float, Scalar == Double)
func deinterleave<Outer: RealScalar, Scalar: RealScalar>(
  _ source: UnsafePointer<Scalar>, _ shape: (rows: Int, columns: Int), _ b: Int,
  _ order: VectorOrder, into target: UnsafeMutablePointer<Outer>
) {
  let tangents = shape.rows * b
  nonisolated(unsafe) let (source, target) = (source, target)
  forEachTile(tangents, shape.columns) { tile, columns in
    for tangent in tile {
      guard let start = order.start(tangent % b, tangent / b, b, shape.rows) else { continue }
      let row = target + start * shape.columns
      for c in columns { row[c] = converted(source[c * tangents + tangent]) }
    }
  }
}

/// The same number in another precision. (The general initialiser of floating-point numbers takes their bits apart.)
@inline(__always)
private func converted<From: RealScalar, To: RealScalar>(_ x: From) -> To {
  From.self == Float.self
    ? To(unsafeBitCast(x, to: Float.self)) : To(unsafeBitCast(x, to: Double.self))
}
