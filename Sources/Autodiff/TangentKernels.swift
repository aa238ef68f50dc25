import Weights
import LinearAlgebra

// The inner loops of the rules that are not products with stored weights. The b tangents (or cotangents) of an
// application are adjacent in memory, element by element; all loops process eight of them at a time.

/// y ← a x, or y ← y + a x, over `count` adjacent numbers.
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

/// (y₁, y₂) ← (+) (cos x₁ − sin x₂, cos x₂ + sin x₁) over `count` adjacent numbers.
@inline(__always)
func rotatePair<S: RealScalar>(
  _ cosine: S, _ sine: S, _ x1: UnsafePointer<S>, _ x2: UnsafePointer<S>,
  into y1: UnsafeMutablePointer<S>, _ y2: UnsafeMutablePointer<S>, _ count: Int,
  _ accumulating: Bool
) {
  let (c, s) = (SIMD8<S>(repeating: cosine), SIMD8<S>(repeating: sine))
  var j = 0
  while j + 8 <= count {
    let first = UnsafeRawPointer(x1 + j).loadUnaligned(as: SIMD8<S>.self)
    let second = UnsafeRawPointer(x2 + j).loadUnaligned(as: SIMD8<S>.self)
    var (turned1, turned2) = (c * first, c * second)
    if accumulating {
      turned1 += UnsafeRawPointer(y1 + j).loadUnaligned(as: SIMD8<S>.self)
      turned2 += UnsafeRawPointer(y2 + j).loadUnaligned(as: SIMD8<S>.self)
    }
    UnsafeMutableRawPointer(y1 + j).storeBytes(of: turned1 - s * second, as: SIMD8<S>.self)
    UnsafeMutableRawPointer(y2 + j).storeBytes(of: turned2 + s * first, as: SIMD8<S>.self)
    j += 8
  }
  while j < count {
    let (first, second) = (x1[j], x2[j])
    let (turned1, turned2) = (cosine * first, cosine * second)
    y1[j] = (accumulating ? y1[j] + turned1 : turned1) - sine * second
    y2[j] = (accumulating ? y2[j] + turned2 : turned2) + sine * first
    j += 1
  }
}

/// y[i, ·] ← (+) factor · d[i] x[i, ·] for i < count: one factor per element, the same for its b tangents.
///
/// If there are fewer than eight tangents, and their number is a power of two, those of several elements share a
/// register, with d broadcast over them.
@inline(__always)
private func scale<S: RealScalar>(
  _ factor: S, _ d: UnsafePointer<S>, _ x: UnsafePointer<S>, _ y: UnsafeMutablePointer<S>,
  _ count: Int, _ b: Int, _ accumulating: Bool
) {
  var i = 0
  @inline(__always) func shared(by tangents: Int, _ spread: (UnsafePointer<S>) -> SIMD8<S>) {
    while (count - i) * tangents >= 8 {
      let k = i * tangents
      var value =
        UnsafeRawPointer(x + k).loadUnaligned(as: SIMD8<S>.self) * (spread(d + i) * factor)
      if accumulating { value += UnsafeRawPointer(y + k).loadUnaligned(as: SIMD8<S>.self) }
      UnsafeMutableRawPointer(y + k).storeBytes(of: value, as: SIMD8<S>.self)
      i += 8 / tangents
    }
  }
  switch b {
  case 1: shared(by: 1) { UnsafeRawPointer($0).loadUnaligned(as: SIMD8<S>.self) }
  case 2:
    shared(by: 2) {
      let four = UnsafeRawPointer($0).loadUnaligned(as: SIMD4<S>.self)
      var pairs = SIMD8<S>()
      (pairs.evenHalf, pairs.oddHalf) = (four, four)
      return pairs
    }
  case 4:
    shared(by: 4) {
      SIMD8(lowHalf: SIMD4(repeating: $0[0]), highHalf: SIMD4(repeating: $0[1]))
    }
  default: break
  }
  while i < count {
    axpy(factor * d[i], x + i * b, y + i * b, b, accumulating)
    i += 1
  }
}

/// The number of elements that is enough work to wake another thread.
private let grain = 1 << 15

/// Runs `body` on parts of 0 ..< count, in parallel if there are many elements; `size` is the number of elements per
/// index.
///
/// Each part writes its own elements, so the callers' pointers may be shared.
@inline(__always)
func inParts(_ count: Int, size: Int, _ body: @Sendable (Range<Int>) -> Void) {
  let parts = min(count, count * size / grain)
  guard parts > 1 else { return body(0..<count) }
  Engine.forEach(parts) { i in body(i * count / parts..<(i + 1) * count / parts) }
}

/// y[i, ·] ← (+) factor · d[i] x[i, ·]: a diagonal map, the derivative of any elementwise function.
@_specialize(where S == Float)
@_specialize(where S == Double)
func scaleTangents<S: RealScalar>(
  by d: UnsafePointer<S>, times factor: S = 1, _ x: UnsafePointer<S>,
  into y: UnsafeMutablePointer<S>, count: Int, tangents b: Int, accumulating: Bool
) {
  nonisolated(unsafe) let (d, x, y) = (d, x, y)
  inParts(count, size: b) { part in
    let i = part.lowerBound
    scale(factor, d + i, x + i * b, y + i * b, part.count, b, accumulating)
  }
}

/// y ← (+) a x over `count` numbers.
@_specialize(where S == Float)
@_specialize(where S == Double)
func addScaled<S: RealScalar>(
  _ a: S, _ x: UnsafePointer<S>, into y: UnsafeMutablePointer<S>, count: Int, accumulating: Bool
) {
  nonisolated(unsafe) let (x, y) = (x, y)
  inParts(count, size: 1) { part in
    axpy(a, x + part.lowerBound, y + part.lowerBound, part.count, accumulating)
  }
}

/// sum[r, ·] ← Σ_c d[c, r] x[c, r, ·] for every row r: the reductions of normalisations.
@_specialize(where S == Float)
@_specialize(where S == Double)
func dotTangents<S: RealScalar>(
  _ d: UnsafePointer<S>, _ x: UnsafePointer<S>, into sum: UnsafeMutablePointer<S>, columns: Int,
  rows: Int, tangents b: Int
) {
  sum.update(repeating: 0, count: rows * b)
  for c in 0..<columns { scale(1, d + c * rows, x + c * rows * b, sum, rows, b, true) }
}

/// y[c, r, ·] ← y[c, r, ·] + d[c, r] s[r, ·]: the rank-one part of a normalisation's derivative.
@_specialize(where S == Float)
@_specialize(where S == Double)
func addRankOne<S: RealScalar>(
  _ d: UnsafePointer<S>, _ s: UnsafePointer<S>, into y: UnsafeMutablePointer<S>, columns: Int,
  rows: Int, tangents b: Int
) {
  nonisolated(unsafe) let (d, s, y) = (d, s, y)
  inParts(columns, size: rows * b) { part in
    for c in part { scale(1, d + c * rows, s, y + c * rows * b, rows, b, true) }
  }
}
