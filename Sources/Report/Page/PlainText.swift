import Files

/// A user's text as one short line, as a figure or a page may show it.
///
/// Line breaks and tabs become visible signs, all other characters that steer instead of showing (controls, directions of
/// writing, private ones) go. At most `limit` Unicode scalars, the last of them an ellipsis when something was cut: one
/// character may be made of any number of them.
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

/// The same with what is too long cut out of its middle: where names are alike, they differ at their ends.
func shortened(_ text: String, limit: Int) -> String {
  let scalars = plainText(text, limit: 200).unicodeScalars
  guard scalars.count > limit else { return String(scalars) }
  let half = limit / 2
  return String(scalars.prefix(half - 1)) + "…" + String(scalars.suffix(limit - half))
}

/// Text between tags or in a quoted attribute of HTML.
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
