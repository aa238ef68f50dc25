import LinearAlgebra

// The inner loops of the rules that are not products with stored weights. A "lane" is one of the b tangents (or
// cotangents) that travel together; lanes of one number are neighbours in memory. All loops run eight lanes at a time.

/// y ← a x, or y ← y + a x, over `count` neighbours.
@inline(__always)
func axpy<S: RealScalar>(
  _ a: S, _ x: UnsafePointer<S>, _ y: UnsafeMutablePointer<S>, _ count: Int, _ accumulating: Bool
) {
  let wide = SIMD8<S>(repeating: a)
  var j = 0
  while j + 8 <= count {
    var value = UnsafeRawPointer(x + j).loadUnaligned(as: SIMD8<S>.self) * wide
    if accumulating { value += UnsafeRawPointer(y + j).loadUnaligned(as: SIMD8<S>.self) }
    UnsafeMutableRawPointer(y + j).storeBytes(of: value, as: SIMD8<S>.self)
    j += 8
  }
  while j < count {
    y[j] = accumulating ? y[j] + a * x[j] : a * x[j]
    j += 1
  }
}

/// Numbers that are worth another thread's waking.
private let grain = 1 << 15

/// Runs `body` on parts of 0 ..< count, side by side when there are many numbers; `size` is that of one index.
@inline(__always)
private func inParts(_ count: Int, size: Int, _ body: (Range<Int>) -> Void) {
  let parts = min(count, count * size / grain)
  guard parts > 1 else { return body(0..<count) }
  Threads.forEach(parts) { i in body(i * count / parts..<(i + 1) * count / parts) }
}

/// y[i, ·] ← (+) d[i] x[i, ·]: a diagonal map, the derivative of everything elementwise.
@_specialize(where S == Float)
@_specialize(where S == Double)
func scaleLanes<S: RealScalar>(
  by d: UnsafePointer<S>, _ x: UnsafePointer<S>, into y: UnsafeMutablePointer<S>, count: Int,
  lanes b: Int, accumulating: Bool
) {
  inParts(count, size: b) { part in
    for i in part { axpy(d[i], x + i * b, y + i * b, b, accumulating) }
  }
}

/// y ← (+) a x over `count` numbers.
@_specialize(where S == Float)
@_specialize(where S == Double)
func addScaled<S: RealScalar>(
  _ a: S, _ x: UnsafePointer<S>, into y: UnsafeMutablePointer<S>, count: Int, accumulating: Bool
) {
  inParts(count, size: 1) { part in
    axpy(a, x + part.lowerBound, y + part.lowerBound, part.count, accumulating)
  }
}

/// sum[r, ·] ← Σ_c d[c, r] x[c, r, ·] for every row r: the reductions of normalisations.
@_specialize(where S == Float)
@_specialize(where S == Double)
func dotLanes<S: RealScalar>(
  _ d: UnsafePointer<S>, _ x: UnsafePointer<S>, into sum: UnsafeMutablePointer<S>, columns: Int,
  rows: Int, lanes b: Int
) {
  sum.update(repeating: 0, count: rows * b)
  for c in 0..<columns {
    for r in 0..<rows {
      axpy(d[c * rows + r], x + (c * rows + r) * b, sum + r * b, b, true)
    }
  }
}

/// y[c, r, ·] ← y[c, r, ·] + d[c, r] s[r, ·]: the rank-one part of a normalisation's derivative.
@_specialize(where S == Float)
@_specialize(where S == Double)
func spreadLanes<S: RealScalar>(
  _ d: UnsafePointer<S>, _ s: UnsafePointer<S>, into y: UnsafeMutablePointer<S>, columns: Int,
  rows: Int, lanes b: Int
) {
  inParts(columns, size: rows * b) { part in
    for c in part {
      for r in 0..<rows {
        axpy(d[c * rows + r], s + r * b, y + (c * rows + r) * b, b, true)
      }
    }
  }
}
