import Weights
import LinearAlgebra

/// The keys and values of all tokens of one sequence, as constants: everything that a query of that sequence can
/// attend to.
///
/// They are stored after subtracting their mean over the tokens. Soft-max is invariant to a constant added to all
/// scores, so what all keys have in common, say a bias of several hundred, has no effect on the result, but would add
/// to the rounding of every product with them. Values are averaged with weights that sum to 1, whose tangents sum to
/// 0: what they have in common goes straight to the output. With a soft cap, what keys have in common matters, so
/// keys are stored unchanged. With sinks it matters too, and the weights of values sum to less than 1, so both are
/// stored unchanged.
public final class KeyValueCache<Scalar: RealScalar> {
  /// The number of tokens.
  public let count: Int
  let headDimension: Int
  let valueDimension: Int
  /// Whether the keys' mean was subtracted.
  let isCentred: Bool
  /// (keyValueHeads, tokens, headDimension)
  private let keys: Buffer<Scalar>
  /// (keyValueHeads, tokens, valueDimension)
  private let values: Buffer<Scalar>
  /// The mean subtracted from the values (keyValueHeads, valueDimension); nil if none was.
  private let valueMean: Buffer<Scalar>?

  /// Copies the keys (tokens, keyValueHeads · headDimension) and values (tokens, keyValueHeads · valueDimension) of
  /// the tokens in `rows`, by default all, for this kind of attention. Precondition: they are constants.
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

  /// The bytes allocated.
  public var byteCount: Int {
    (keys.count + values.count + (valueMean?.count ?? 0)) * MemoryLayout<Scalar>.stride
  }

  /// The mean of every feature over a range of rows.
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

  /// The keys of one head, (visible tokens, headDimension).
  func keys(head: Int, _ range: Range<Int>) -> StoredMatrix {
    view(keys, headDimension, head, range)
  }

  /// The values of one head, (visible tokens, valueDimension).
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

  /// The average of one head's values for each of n queries, with weights (seen, n) that sum to 1 without a sink:
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
