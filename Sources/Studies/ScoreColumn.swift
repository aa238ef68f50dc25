import Analysis

/// A column of a table of scores, by the names of models.
public struct ScoreColumn: Sendable {
  /// Its name.
  public let name: String
  /// The file it is from.
  public let source: String
  private let scores: [String: Double?]
  private let folded: [String: [String]]

  /// What a table says of a model.
  public enum Entry: Sendable, Equatable {
    /// Its score.
    case score(Double)
    /// It is listed without one.
    case empty
    /// It is not listed, or only under several names that differ from its own in case.
    case unlisted
  }

  /// A column; no model stands in it twice.
  public init(name: String, source: String, scores: [String: Double?]) {
    self.name = name
    self.source = source
    self.scores = scores
    folded = Dictionary(grouping: scores.keys) { $0.lowercased() }
  }

  /// The name a model is listed by: exactly its own, else the only one that differs from it in nothing but case.
  public func name(of model: String) -> String? {
    if scores[model] != nil { return model }
    let alike = folded[model.lowercased()] ?? []
    return alike.count == 1 ? alike[0] : nil
  }

  /// The score under the name the model is listed by.
  public subscript(model: String) -> Entry {
    guard let name = name(of: model), let entry = scores[name] else { return .unlisted }
    return entry.map { Entry.score($0) } ?? .empty
  }
}
