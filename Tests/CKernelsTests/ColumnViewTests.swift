import CKernels
import LinearAlgebra
import TestSupport
import Testing
import Weights

extension KernelTests {
  @Suite struct ColumnViews {
    /// Some columns of a stored matrix, and a matrix of the same blocks alone.
    private static func pair(
      _ whole: GuardedMatrix, _ type: ElementType, _ range: Range<Int>
    ) throws -> (view: StoredMatrix, copy: StoredMatrix, bytes: AnyObject) {
      let stored = StoredMatrix(
        base: whole.kernel.data, elementType: type, rows: whole.rows, columns: whole.columns,
        owner: whole)
      let bytes = Bytes(
        (0..<whole.rows).flatMap { r in
          let row = whole.kernel.data + r * Int(whole.kernel.row_bytes)
          let start = range.lowerBound / type.blockLength * type.blockBytes
          return Array(
            UnsafeRawBufferPointer(start: row, count: Int(whole.kernel.row_bytes))[
              start..<start + range.count / type.blockLength * type.blockBytes])
        })
      let copy = StoredMatrix(
        base: bytes.base, elementType: type, rows: whole.rows, columns: range.count, owner: bytes)
      return (stored.columns(range), copy, bytes)
    }

    private final class Bytes {
      let base: UnsafeMutableRawPointer
      init(_ bytes: [UInt8]) {
        base = .allocate(byteCount: bytes.count + 1, alignment: 1)
        for (i, byte) in bytes.enumerated() {
          base.storeBytes(of: byte, toByteOffset: i, as: UInt8.self)
        }
      }
      deinit { base.deallocate() }
    }

    /// The products with a view are, to the bit, those with a copy of its columns; without columns they are 0.
    @Test(arguments: ElementType.allCases.filter(\.isGGUF))
    func equalCopies(type: ElementType) throws {
      let unit = type.blockLength == 1 ? 7 : type.blockLength
      let whole = try GuardedMatrix(type, rows: 37, columns: 6 * unit, seed: 4)
      for range in [0..<unit, unit..<4 * unit, 3 * unit..<6 * unit, 2 * unit..<2 * unit] {
        let (view, copy, bytes) = try Self.pair(whole, type, range)
        #expect(view.rows == 37 && view.columns == range.count)
        #expect(view.row(36) == copy.row(36))
        withExtendedLifetime(bytes) {
          KernelTests.withEachInstructionSet { set in
            for b in [1, 5, 40] {
              let label = "\(range), b \(b), set \(set)"
              #expect(products(view, Float.self, b) == products(copy, Float.self, b), "\(label)")
              #expect(products(view, Double.self, b) == products(copy, Double.self, b), "\(label)")
            }
          }
        }
      }
    }

    /// W X and Wᵀ Y, each added to ones.
    private func products<S: RealScalar>(_ w: StoredMatrix, _: S.Type, _ b: Int) -> [S] {
      var generator = SeededGenerator(seed: 9)
      let x = (0..<w.columns * b + 1).map { _ in S(generator.normal()) }
      let y = (0..<w.rows * b).map { _ in S(generator.normal()) }
      var (wx, wty) = (Array(repeating: S(1), count: w.rows * b), x.map { _ in S(1) })
      S.multiply(w, x, stride: b, into: &wx, stride: b, vectors: b, accumulating: true)
      S.multiplyAdjoint(w, y, stride: b, into: &wty, stride: b, vectors: b, accumulating: true)
      if w.columns == 0 { #expect(wx.allSatisfy { $0 == 1 }) }
      return wx + wty
    }
  }
}
