import Analysis

extension RecordDifference {
  /// The difference in words, with the names of the records: `last: residual in a, b; normed in c`.
  func description(_ names: [String]) -> String {
    var groups: [(value: String, names: [String])] = []
    for (value, name) in zip(values, names) {
      if let i = groups.firstIndex(where: { $0.value == value }) {
        groups[i].names.append(name)
      } else {
        groups.append((value, [name]))
      }
    }
    return "\(key): "
      + groups.map { "\($0.value) in \(listed($0.names))" }.joined(separator: "; ")
  }
}

/// Names for a message: the first three, and the number of others.
func listed(_ names: [String]) -> String {
  names.prefix(3).joined(separator: ", ") + (names.count > 3 ? " and \(names.count - 3) more" : "")
}
