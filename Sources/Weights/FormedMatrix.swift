import CKernels
import Synchronization
public import LinearAlgebra

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A matrix (m, n) in single precision that is formed from others at its first use, and again at the first one after
/// `release`. It occupies 4 bytes per number while it is formed.
package final class FormedMatrix: @unchecked Sendable {
  private let form: (UnsafeMutablePointer<Float>) -> Void
  private var matrix: (stored: StoredMatrix, box: MappedNumbers)?

  /// The rows m and columns n.
  package let rows, columns: Int
  /// The numbers that memory is taken for.
  private let capacity: Int

  /// A matrix whose numbers `form` writes, row by row, into uninitialised memory. That is taken for `capacity` numbers, m n unless
  /// given, so that matrices of nearly one size can have each other's.
  package init(
    rows: Int, columns: Int, capacity: Int? = nil,
    form: @escaping (UnsafeMutablePointer<Float>) -> Void
  ) {
    (self.rows, self.columns, self.form) = (rows, columns, form)
    self.capacity = capacity ?? rows * columns
  }

  /// The bytes of the matrix while it is formed.
  package var byteCount: Int { capacity * MemoryLayout<Float>.stride }

  /// The matrix, formed if it is not.
  package var stored: StoredMatrix {
    if let matrix { return matrix.stored }
    let box = SpareMatrices.shared.take(capacity)
    form(box.base)
    let made = StoredMatrix(
      base: UnsafeRawPointer(box.base), elementType: .f32, rows: rows, columns: columns, owner: box)
    matrix = (made, box)
    return made
  }

  /// Frees the matrix until its next use.
  package func release() {
    guard let box = matrix?.box else { return }
    matrix = nil
    SpareMatrices.shared.put(box)
  }

  deinit { release() }

  /// Frees the memory that is kept for matrices to come.
  package static func freeSpareMemory() { SpareMatrices.shared.free() }
}

extension FormedMatrix {
  /// M = Σₖ diag(dₖ) Wₖ for at least one stored matrix: several maps of the same vector whose outputs are scaled and added, as
  /// one map. Preconditions: all have the same shape (m, n), none is stored transposed, and there are m factors each.
  ///
  /// Each entry is rounded once for each term and addition, |δM| ≤ 2u Σₖ |dₖ| |Wₖ| for two terms with u = 2⁻²⁴, which is less
  /// than the rounding of a product with any of them. Cost: one reading of every Wₖ.
  package convenience init(
    combining terms: [(factors: [Float], weights: StoredMatrix)], capacity: Int? = nil
  ) {
    let combination = Combination(terms)
    self.init(rows: combination.rows, columns: combination.columns, capacity: capacity) {
      combination.form(into: $0)
    }
  }
}

/// The terms of a sum of matrices, as the kernels take them.
private final class Combination: @unchecked Sendable {
  let rows, columns: Int
  /// Keeps the weights in memory.
  private let weights: [StoredMatrix]
  private let kernels: UnsafeMutablePointer<ck_matrix>
  private let factors: UnsafeMutablePointer<Float>
  private let matrices: [UnsafePointer<ck_matrix>?]
  private let diagonals: [UnsafePointer<Float>?]

  init(_ terms: [(factors: [Float], weights: StoredMatrix)]) {
    let (rows, columns) = (terms[0].weights.rows, terms[0].weights.columns)
    for (factors, weights) in terms {
      precondition(
        weights.rows == rows && weights.columns == columns && factors.count == rows
          && !weights.isTransposed, "the terms differ in shape")
    }
    (self.rows, self.columns, weights) = (rows, columns, terms.map(\.weights))
    let kernels = UnsafeMutablePointer<ck_matrix>.allocate(capacity: terms.count)
    let factors = UnsafeMutablePointer<Float>.allocate(capacity: terms.count * rows)
    for (k, term) in terms.enumerated() {
      (kernels + k).initialize(to: term.weights.kernel)
      (factors + k * rows).initialize(from: term.factors, count: rows)
    }
    matrices = terms.indices.map { UnsafePointer(kernels + $0) }
    diagonals = terms.indices.map { UnsafePointer(factors + $0 * rows) }
    (self.kernels, self.factors) = (kernels, factors)
  }

  deinit {
    kernels.deallocate()
    factors.deallocate()
  }

  func form(into out: UnsafeMutablePointer<Float>) {
    ck_combine(Engine.current, Int64(matrices.count), matrices, diagonals, out)
  }
}

/// Uninitialised memory in pages of its own: matrices of changing sizes would leave gaps between the numbers that stay.
private final class MappedNumbers: @unchecked Sendable {
  let base: UnsafeMutablePointer<Float>
  let count: Int
  private let byteCount: Int
  private let isMapped: Bool

  init(count: Int) {
    self.count = count
    byteCount = max(count, 1) * MemoryLayout<Float>.stride
    let pages = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    isMapped = pages != nil && pages != MAP_FAILED
    base = isMapped ? pages!.assumingMemoryBound(to: Float.self) : .allocate(capacity: count)
  }

  deinit {
    if isMapped { munmap(base, byteCount) } else { base.deallocate() }
  }
}

/// The memory of released matrices, kept for the next ones: the first use of fresh pages takes longer than forming a matrix in
/// pages that are there.
///
/// Used and spare memory together never exceed the most that has been in use at once.
private final class SpareMatrices: Sendable {
  static let shared = SpareMatrices()

  private struct State {
    var spare: [MappedNumbers] = []
    var (used, spareCount, most) = (0, 0, 0)
  }

  private let state = Mutex(State())

  /// Uninitialised memory for this many numbers.
  func take(_ count: Int) -> MappedNumbers {
    state.withLock { state in
      state.used += count
      defer { state.most = max(state.most, state.used) }
      if let i = state.spare.firstIndex(where: { $0.count == count }) {
        state.spareCount -= count
        return state.spare.remove(at: i)
      }
      while state.used + state.spareCount > state.most, let first = state.spare.popLast() {
        state.spareCount -= first.count
      }
      return MappedNumbers(count: count)
    }
  }

  /// Frees what is not used.
  func free() {
    state.withLock { ($0.spare, $0.spareCount) = ([], 0) }
  }

  /// Keeps the memory, or frees it if there is enough.
  func put(_ box: MappedNumbers) {
    state.withLock { state in
      state.used -= box.count
      guard state.used + state.spareCount + box.count <= state.most else { return }
      state.spare.append(box)
      state.spareCount += box.count
    }
  }
}
