/// Text that came from a file or a user on one line of a message: what would steer a terminal is escaped.
///
/// At most `limit` Unicode scalars, the last of them an ellipsis when something was cut.
package func escaped(_ text: String, limit: Int = .max) -> String {
  var result = String.UnicodeScalarView()
  for scalar in text.unicodeScalars {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator:
      result.append(contentsOf: scalar.escaped(asASCII: true).unicodeScalars)
    default: result.append(scalar)
    }
    if limit < .max, result.count > limit { return String(result.prefix(limit - 1)) + "…" }
  }
  return String(result)
}

/// The same in quotation marks, as names from files stand in messages.
package func quoted(_ text: String, limit: Int = 80) -> String {
  "\"\(escaped(text, limit: limit))\""
}
