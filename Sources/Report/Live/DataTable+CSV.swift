extension DataTable {
  /// The largest number of characters of a table that is embedded in the page; longer tables are only in the file beside it.
  private static let mostLinked = 60_000

  /// The table as a data URL, which a browser saves as CSV without a script, and the suffix of the file name; nil if it is too
  /// long.
  var csvLink: (suffix: String, address: String)? {
    guard text.utf8.count <= Self.mostLinked else { return nil }
    // Blank lines and repeated headers separate data sets for gnuplot and are removed.
    var lines: [Substring] = []
    for line in text.split(separator: "\n") where lines.isEmpty || line != lines[0] {
      lines.append(line)
    }
    let csv = lines.map { line in
      line.split(separator: "\t", omittingEmptySubsequences: false).map { field($0) }
        .joined(separator: ",")
    }.joined(separator: "\n")
    return (suffix, "data:text/csv;charset=utf-8," + percentEncoded(csv + "\n"))
  }

  /// A CSV field. A text that a spreadsheet would evaluate as a formula is prefixed with an apostrophe.
  private func field(_ text: Substring) -> String {
    let isFormula = "=+-@".contains(text.first ?? " ") && Double(text) == nil
    let safe = (isFormula ? "'" : "") + text
    return safe.contains { ",\"".contains($0) } ? "\"\(safe.replacing("\"", with: "\"\""))\"" : safe
  }

  /// The text with all bytes percent-encoded except letters, digits and `-.,_`.
  private func percentEncoded(_ text: String) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var bytes: [UInt8] = []
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
        UInt8(ascii: ","), UInt8(ascii: "_"):
        bytes.append(byte)
      default: bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
