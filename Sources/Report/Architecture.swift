/// The properties that a model, its checkpoints and its copies with random weights share.
struct Architecture: Hashable {
  let family: String
  let layers: Int
  let width: Int
  let parameters: Int

  /// `llama, L = 30, d = 576`
  var name: String { "\(family), L = \(layers), d = \(width)" }
}

extension ReportedRun {
  /// The architecture of the run's model.
  var architecture: Architecture {
    let m = record.model
    return Architecture(
      family: m.family, layers: m.layers, width: m.width, parameters: m.parameters)
  }

  /// Whether the weights are random.
  var isRandom: Bool { record.settings.randomInit }
}
