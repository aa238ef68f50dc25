import Weights
import LinearAlgebra

/// The keys and values of all tokens of one sequence, as constants: what a query of that sequence may look at.
///
/// Held less their mean over the tokens. Soft-max does not see what is added to all scores alike, so what all keys share,
/// a bias of some hundreds say, has no part in the result; but it would have one in the rounding of every product with
/// them. Values are averaged with weights of sum 1, whose tangents have sum 0: what all share goes straight to the output.
/// Soft caps do see what keys share: for them keys are kept as they are. So do sinks, which also leave weights of the values
/// whose sum is less than 1: for them both are.
public final class KeyValueCache<Scalar: RealScalar> {
  /// Tokens.
  public let count: Int
  let headDimension: Int
  let valueDimension: Int
  /// Whether the keys' mean was taken out.
  let isCentred: Bool
  /// (keyValueHeads, tokens, headDimension)
  private let keys: Buffer<Scalar>
  /// (keyValueHeads, tokens, valueDimension)
  private let values: Buffer<Scalar>
  /// (keyValueHeads, valueDimension), what was taken out, if anything.
  private let valueMean: Buffer<Scalar>?

  /// Copies keys (tokens, keyValueHeads · headDimension) and values (tokens, keyValueHeads · valueDimension) of the tokens in `rows`, by default all, for attention
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
    valueDimension = settings.valueDimension
    isCentred = settings.seesDifferencesOnly
    valueMean = settings.sinks == nil ? Self.mean(values, rows) : nil
    self.keys = Self.byHead(
      keys, rows, headDimension, less: isCentred ? Self.mean(keys, rows) : nil)
    self.values = Self.byHead(values, rows, valueDimension, less: valueMean)
  }

  /// Bytes held.
  public var byteCount: Int {
    (keys.count + values.count + (valueMean?.count ?? 0)) * MemoryLayout<Scalar>.stride
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
  func keys(head: Int, _ range: Range<Int>) -> StoredMatrix {
    view(keys, headDimension, head, range)
  }

  /// (visible tokens, valueDimension) of one head.
  func values(head: Int, _ range: Range<Int>) -> StoredMatrix {
    view(values, valueDimension, head, range)
  }

  private func view(
    _ buffer: Buffer<Scalar>, _ d: Int, _ head: Int, _ range: Range<Int>
  ) -> StoredMatrix {
    StoredMatrix(
      base: UnsafeRawPointer(buffer.base + (head * count + range.lowerBound) * d),
      elementType: Scalar.elementType, rows: range.count, columns: d, owner: buffer)
  }

  /// The average of one head's values with weights (seen, n), for each of n queries, of sum 1 without a sink:
  /// (valueDimension, n).
  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func average(
    head: Int, _ seen: Range<Int>, weights p: UnsafePointer<Scalar>, queries n: Int,
    into out: UnsafeMutablePointer<Scalar>, stride: Int
  ) {
    Scalar.multiplyAdjoint(
      values(head: head, seen), p, stride: n, into: out, stride: stride, vectors: n,
      accumulating: false)
    guard let valueMean else { return }
    for i in 0..<valueDimension {
      let mean = valueMean.base[head * valueDimension + i]
      for q in 0..<n { out[i * stride + q] += mean }
    }
  }
}
