import Files

/// A user's text as one short line that a figure or a page can show.
///
/// Line breaks and tabs become visible symbols; other control, format and private-use characters are removed. The result has
/// at most `limit` Unicode scalars, the last of them an ellipsis if the text was cut. Scalars are counted, since a single
/// character can consist of any number of them.
func plainText(_ text: String, limit: Int) -> String {
  var scalars = String.UnicodeScalarView()
  for scalar in text.unicodeScalars {
    guard scalars.count < limit else {
      scalars.removeLast()
      scalars.append("…")
      break
    }
    switch scalar.properties.generalCategory {
    case .control:
      if let sign = ["\n": "↵", "\r": "↵", "\t": "→"][scalar] as Unicode.Scalar? {
        scalars.append(sign)
      }
    case .lineSeparator, .paragraphSeparator: scalars.append("↵")
    case .format, .privateUse, .surrogate, .unassigned: break
    default: scalars.append(scalar)
    }
  }
  return String(scalars)
}

/// As `plainText`, but a text that is too long is cut in the middle, since similar names often differ at their ends.
func shortened(_ text: String, limit: Int) -> String {
  let scalars = plainText(text, limit: 200).unicodeScalars
  guard scalars.count > limit else { return String(scalars) }
  let half = limit / 2
  return String(scalars.prefix(half - 1)) + "…" + String(scalars.suffix(limit - half))
}

/// Text escaped for use between HTML tags or in a quoted attribute.
func escapedHTML(_ text: String) -> String {
  var escaped = ""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "&": escaped += "&amp;"
    case "<": escaped += "&lt;"
    case ">": escaped += "&gt;"
    case "\"": escaped += "&quot;"
    case "'": escaped += "&#39;"
    default: escaped.unicodeScalars.append(scalar)
    }
  }
  return escaped
}
