import Analysis

extension RecordDifference {
  /// `last: residual in a, b; normed in c`, the names those of the records.
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

/// Names in a message: the first three, and how many more there are.
func listed(_ names: [String]) -> String {
  names.prefix(3).joined(separator: ", ") + (names.count > 3 ? " and \(names.count - 3) more" : "")
}
