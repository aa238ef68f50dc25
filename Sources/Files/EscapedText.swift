/// Text from a file or a user, made safe for one line of a message: characters that would control a terminal are escaped.
///
/// The result has at most `limit` Unicode scalars; the last one is an ellipsis if the text was cut.
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

/// The escaped text in quotation marks, which is how messages show names from files.
package func quoted(_ text: String, limit: Int = 80) -> String {
  "\"\(escaped(text, limit: limit))\""
}
