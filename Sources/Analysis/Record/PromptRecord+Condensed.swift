import Alignment

extension PromptRecord {
  /// The record reduced to what the statistics read besides tables: the numbers of its paths, one per token.
  var condensed: PromptRecord {
    var record = self
    (record.layers, record.coupling, record.overlap) = ([], [], [])
    (record.trajectory.norms, record.trajectory.picture) = ([], nil)
    record.tokens = nil
    record.trajectory.zeroSteps = []
    return record
  }

  /// The record reduced to the identity of the prompt, its Jacobians, and whether it failed.
  var identity: PromptRecord {
    var record = condensed
    record.trajectory = .nothing
    record.layers = layers.map {
      var layer = $0
      (layer.singularValues, layer.residualNorms, layer.relativeGaps) = ([], [], nil)
      (layer.bound, layer.vectorBound, layer.further) = (nil, nil, nil)
      return layer
    }
    return record
  }
}

extension CouplingMatrix {
  /// A table of one entry with the same mean and the same mean null level.
  func condensed(diagonal: DiagonalMode) -> CouplingMatrix {
    CouplingMatrix(
      kind: kind, setting: setting, rows: [0], columns: [0], matrix: [[mean(diagonal: diagonal)]],
      null: null.map { [MeanEstimate($0.compactMap { $0 })?.mean] }, comparesSameJacobians: false,
      place: place
    ).with(bound: [[meanBound(diagonal: diagonal)]])
  }
}
