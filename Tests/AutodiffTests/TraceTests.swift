import Autodiff
import LinearAlgebra
import Testing

/// Variables of two programs do not mix: a position is meaningless on another trace.
@Suite struct TraceTests {
  @Test func anOuterVariableInAnInnerProgram() async {
    await #expect(processExitsWith: .failure) {
      _ = linearize(
        { (x: Variable<Double>) in
          _ = linearize({ y in y * x }, at: x.value)
          return x
        }, at: Matrix(rows: 1, columns: 2, repeating: 1))
    }
    await #expect(processExitsWith: .failure) {
      _ = linearize(
        { (x: Variable<Double>) in
          _ = linearize({ _ in x.activated(by: .tanh) }, at: x.value)
          return x
        }, at: Matrix(rows: 1, columns: 2, repeating: 1))
    }
  }

  @Test func aVariableThatOutlivedItsProgram() async {
    await #expect(processExitsWith: .failure) {
      var kept: Variable<Double>?
      let x = Matrix<Double>(rows: 1, columns: 2, repeating: 1)
      _ = linearize(
        { (x: Variable<Double>) in
          kept = x
          return x
        }, at: x)
      _ = linearize({ $0 - kept! }, at: x)
    }
  }

  @Test func queriesAndKeysOfTwoPrograms() async {
    await #expect(processExitsWith: .failure) {
      let settings = AttentionSettings(heads: 1, keyValueHeads: 1, headDimension: 2, scale: 1)
      let x = Matrix<Double>(rows: 1, columns: 2, repeating: 1)
      let cache = KeyValueCache(keys: Variable(x), values: Variable(x), settings: settings)
      _ = linearize(
        { (x: Variable<Double>) in
          _ = linearize(
            { y in
              selectedAttention(
                queries: y, keys: y, values: x,
                rows: [
                  AttentionRow(cache: cache, sources: ActiveTokens([0], firstRow: 0), target: 0)
                ], settings: settings)
            }, at: x.value)
          return x
        }, at: x)
    }
  }

  /// Cached variables are constants, and so is everything evaluated with them.
  @Test func activeKeysAreNotCached() async {
    await #expect(processExitsWith: .failure) {
      let settings = AttentionSettings(heads: 1, keyValueHeads: 1, headDimension: 2, scale: 1)
      _ = linearize(
        { (x: Variable<Double>) in
          let cache = KeyValueCache(keys: x, values: x.detached, settings: settings)
          return sequenceAttention(queries: x.detached, caches: [cache], settings: settings)
        }, at: Matrix(rows: 1, columns: 2, repeating: 1))
    }
  }

  /// `detached` makes the other program's variable constant: d(x · f(x))/dx with f(x) fixed.
  @Test func detachedIsTheWay() {
    let x = Matrix<Double>([[2, 3]])
    let inner = linearize(
      { (x: Variable<Double>) in
        let outer = x.activated(by: .reluSquared)
        return linearize({ y in y * outer.detached }, at: x.value).value.asVariable + x
      }, at: x)
    #expect(inner.value == Matrix([[10, 30]]))
    #expect(inner.jvp(Matrix([[1, 1]])) == Matrix([[1, 1]]))
  }
}

extension Matrix where Scalar == Double {
  fileprivate var asVariable: Variable<Double> { Variable(self) }
}
