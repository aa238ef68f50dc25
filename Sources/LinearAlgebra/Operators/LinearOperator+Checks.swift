extension LinearOperator {
  /// |⟨A v, u⟩ − ⟨v, Aᵀ u⟩| / (‖A v‖ ‖u‖ + ‖v‖ ‖Aᵀ u‖) for seeded random v and u: rounding for a true adjoint.
  ///
  /// One application each way. A wrong adjoint shows a defect of order 1/√max(m, n); 0 if both products vanish.
  public func adjointDefect(seed: UInt64) -> Double {
    var generator = SeededGenerator(seed: seed)
    let v = generator.normalMatrix(rows: 1, columns: inputDimension)
    let u = generator.normalMatrix(rows: 1, columns: outputDimension)
    let (av, atu) = (apply(v), applyAdjoint(u))
    let forward = Matrix.product(av, .none, u, .transposed).elements[0]
    let backward = Matrix.product(v, .none, atu, .transposed).elements[0]
    let size = av.frobeniusNorm * u.frobeniusNorm + v.frobeniusNorm * atu.frobeniusNorm
    return size == 0 ? 0 : abs(forward - backward) / size
  }
}
