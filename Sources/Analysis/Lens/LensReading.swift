import Autodiff
import Files
import LinearAlgebra
import Model

/// A lens applied to the states of a prompt: at boundary l and token s the logits of norm(J_l x_s), which predict from x_s what
/// the remaining blocks will make of it on average.
package struct LensReading: Codable, Sendable {
  /// The path of the lens, as given.
  package let lens: String
  /// The prompt's tokens.
  package let tokenIds: [Int]
  /// The texts of the tokens, if there is a tokenizer.
  @Nullable package var tokens: [String]?
  /// One per boundary and token, ordered by boundary. The last boundary is the model's own prediction.
  package let places: [Place]

  /// A boundary and token, with what the lens reads there.
  package struct Place: Codable, Sendable {
    /// The boundary.
    package let fromLayer: Int
    /// The token, from 0.
    package let token: Int
    /// The most likely tokens, the most likely first.
    package let top: [Candidate]
  }

  /// A token that the lens reads.
  package struct Candidate: Codable, Sendable {
    /// Its id.
    package let id: Int
    /// Its text, if there is a tokenizer.
    @Nullable package var text: String?
    /// Its logit.
    package let logit: Double
  }

  /// Reads the first of the prompts. Throws `RunError`, `ModelError`, `FileError`.
  package init(
    _ lens: StoredLens, of loaded: LoadedModel, layers: [Int]?, tokens list: TokenList, top: Int
  ) throws {
    let model = loaded.model
    let d = model.description
    try lens.check(fits: try loaded.record())
    let boundaries = layers ?? lens.boundaries + [d.layers]
    if let missing = boundaries.first(where: { $0 != d.layers && !lens.boundaries.contains($0) }) {
      throw RunError.badSetting(
        .layers, value: "\(missing)",
        reason:
          "is not among the lens's layers, \(lens.boundaries.map(String.init).joined(separator: ", "))"
      )
    }
    let (given, length) = (loaded.prompts[0], loaded.lengths[0])
    if let missing = list.missing(in: length) {
      throw RunError.badSetting(
        .tokens, value: "\(missing)",
        reason: "\(loaded.labels[0]) has the tokens 0 to \(length - 1)")
    }
    let positions = list.positions(in: length)
    let decode = { (id: Int) in loaded.tokenizer?.decode([id]) }
    self.lens = lens.path
    tokenIds = given.input.tokens
    let texts = tokenIds.compactMap(decode)
    tokens = texts.count == tokenIds.count ? texts : nil
    places = try loaded.engine.use {
      try Self.places(
        lens, model, given.input, boundaries: Set(boundaries), positions, top: top, decode)
    }
  }

  private static func places(
    _ lens: StoredLens, _ model: some Transformer, _ input: ModelInput, boundaries: Set<Int>,
    _ positions: [Int], top: Int, _ decode: (Int) -> String?
  ) throws -> [Place] {
    let layers = model.description.layers
    var states = try HiddenStates<Float>(inputs: [input], in: model)
    var places: [Place] = []
    for boundary in 0...layers {
      if boundaries.contains(boundary) {
        let x = states.states(ofPrompt: 0).converted(to: Double.self)
        var chosen = Matrix(positions.map { Array(x.row($0)) })
        if boundary < layers { chosen = try lens.transported(chosen, from: boundary) }
        let variable = Variable(chosen.converted(to: Float.self))
        guard let logits = model.logits(model.finalNorm(variable))?.value else {
          throw RunError.badSetting(
            .model,
            reason: "a \(model.description.family) model predicts no tokens; choose one with a head"
          )
        }
        for (row, token) in positions.enumerated() {
          places.append(
            Place(
              fromLayer: boundary, token: token,
              top: best(top, of: logits.row(row)).map {
                Candidate(id: $0.id, text: decode($0.id), logit: Double($0.logit))
              }))
        }
      }
      if boundary < layers { _ = try states.advance(through: model) }
    }
    return places
  }

  /// The largest logits in decreasing order; for equal ones the lower id comes first.
  private static func best(
    _ count: Int, of logits: ArraySlice<Float>
  ) -> [(id: Int, logit: Float)] {
    var found: [(id: Int, logit: Float)] = []
    for (id, logit) in logits.enumerated() where found.count < count || logit > found.last!.logit {
      let place = found.firstIndex { $0.logit < logit } ?? found.count
      found.insert((id, logit), at: place)
      if found.count > count { found.removeLast() }
    }
    return found
  }
}
