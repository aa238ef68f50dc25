import Weights
import LinearAlgebra

/// The keys and values of all tokens of one sequence, as constants: what a query of that sequence may look at.
///
/// Held less their mean over the tokens. Soft-max does not see what is added to all scores alike, so what all keys share,
/// a bias of some hundreds say, has no part in the result; but it would have one in the rounding of every product with
/// them. Values are averaged with weights of sum 1, whose tangents have sum 0: what all share goes straight to the output.
/// Soft caps do see what keys share: for them keys are kept as they are.
public final class KeyValueCache<Scalar: RealScalar> {
  /// Tokens.
  public let count: Int
  let headDimension: Int
  /// Whether the keys' mean was taken out.
  let isCentred: Bool
  /// (keyValueHeads, tokens, headDimension)
  private let keys: Buffer<Scalar>
  private let values: Buffer<Scalar>
  /// (keyValueHeads, headDimension), what was taken out.
  private let valueMean: Buffer<Scalar>

  /// Copies keys and values (tokens, keyValueHeads · headDimension) of the tokens in `rows`, by default all, for attention
  /// of this kind. Precondition: they are constants.
  public init(
    keys: Variable<Scalar>, values: Variable<Scalar>, rows: Range<Int>? = nil,
    settings: AttentionSettings
  ) {
    precondition(
      !keys.isActive && !values.isActive, "cached keys and values are constants: `detached`")
    let rows = rows ?? 0..<keys.rows
    count = rows.count
    headDimension = settings.headDimension
    isCentred = settings.softCap == nil
    valueMean = Self.mean(values, rows)
    self.keys = Self.byHead(
      keys, rows, headDimension, less: isCentred ? Self.mean(keys, rows) : nil)
    self.values = Self.byHead(values, rows, headDimension, less: valueMean)
  }

  /// Bytes held.
  public var byteCount: Int {
    (keys.count + values.count + valueMean.count) * MemoryLayout<Scalar>.stride
  }

  /// The mean of every feature over some rows.
  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  private static func mean(_ x: Variable<Scalar>, _ rows: Range<Int>) -> Buffer<Scalar> {
    let result = Buffer<Scalar>(count: x.columns)
    for c in 0..<x.columns {
      var sum = 0.0
      for row in rows { sum += Double(x.buffer.base[c * x.rows + row]) }
      result.base[c] = Scalar(sum / Double(max(rows.count, 1)))
    }
    return result
  }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  private static func byHead(
    _ x: Variable<Scalar>, _ rows: Range<Int>, _ d: Int, less mean: Buffer<Scalar>?
  ) -> Buffer<Scalar> {
    let result = Buffer<Scalar>(count: rows.count * x.columns)
    for c in 0..<x.columns {
      let common = mean?.base[c] ?? 0
      for (t, row) in rows.enumerated() {
        result.base[((c / d) * rows.count + t) * d + c % d] =
          x.buffer.base[c * x.rows + row] - common
      }
    }
    return result
  }

  /// (visible tokens, headDimension) of one head.
  func keys(head: Int, _ range: Range<Int>) -> StoredMatrix { view(keys, head, range) }
  func values(head: Int, _ range: Range<Int>) -> StoredMatrix { view(values, head, range) }

  private func view(_ buffer: Buffer<Scalar>, _ head: Int, _ range: Range<Int>) -> StoredMatrix {
    StoredMatrix(
      base: UnsafeRawPointer(buffer.base + (head * count + range.lowerBound) * headDimension),
      elementType: Scalar.elementType, rows: range.count, columns: headDimension, owner: buffer)
  }

  /// The average of one head's values with weights (seen, n), of sum 1 for each of n queries: (headDimension, n).
  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func average(
    head: Int, _ seen: Range<Int>, weights p: UnsafePointer<Scalar>, queries n: Int,
    into out: UnsafeMutablePointer<Scalar>, stride: Int
  ) {
    Scalar.multiplyAdjoint(
      values(head: head, seen), p, stride: n, into: out, stride: stride, vectors: n,
      accumulating: false)
    for i in 0..<headDimension {
      let mean = valueMean.base[head * headDimension + i]
      for q in 0..<n { out[i * stride + q] += mean }
    }
  }
}
