import Analysis

/// A column of a table of scores, indexed by the names of models.
public struct ScoreColumn: Sendable {
  /// The name of the column.
  public let name: String
  /// The file it comes from.
  public let source: String
  private let scores: [String: Double?]
  private let folded: [String: [String]]

  /// A model's entry in the column.
  public enum Entry: Sendable, Equatable {
    /// The model has this score.
    case score(Double)
    /// The model is listed without a score.
    case empty
    /// The model is not listed, or only under several names that differ from its own in case.
    case unlisted
  }

  /// Creates a column.
  public init(name: String, source: String, scores: [String: Double?]) {
    self.name = name
    self.source = source
    self.scores = scores
    folded = Dictionary(grouping: scores.keys) { $0.lowercased() }
  }

  /// The name under which a model is listed: its own, otherwise the only name that differs from it just in case.
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
