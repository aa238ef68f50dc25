/// The data file of a figure: tab-separated, with a line of column names, and `NaN` where a number is missing.
///
/// User text reaches gnuplot only through these files. It is drawn by `with labels` or as a column title, with `noenhanced`,
/// so that it cannot be interpreted as a command, a format or markup.
struct DataTable {
  /// The part of the file name between the figure's name and `.dat`, such as `-rows`; empty for the first table.
  let suffix: String
  /// Whether the table only holds positions of labels, and no data.
  let isForNames: Bool
  private(set) var text: String
  /// The numbers in each row; nil where a field is missing or is text.
  private(set) var numbers: [[Double?]] = []
  private let header: String

  /// One field of a row.
  enum Field: ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral {
    /// A number, written as missing if it is nil or not finite.
    case number(Double?)
    /// A whole number.
    case integer(Int)
    /// A user's text.
    case label(String)

    init(integerLiteral value: Int) { self = .integer(value) }
    init(floatLiteral value: Double) { self = .number(value) }

    fileprivate var value: Double? {
      switch self {
      case .number(let x): x
      case .integer(let i): Double(i)
      case .label: nil
      }
    }

    fileprivate var text: String {
      switch self {
      case .number(let x?) where x.isFinite: "\(x)"
      case .number: "NaN"
      case .integer(let i): "\(i)"
      case .label(let text): DataTable.label(text)
      }
    }
  }

  /// An empty table with the given columns.
  init(_ suffix: String = "", columns: [String], isForNames: Bool = false) {
    (self.suffix, self.isForNames) = (suffix, isForNames)
    header = columns.map(Self.label).joined(separator: "\t") + "\n"
    text = header
  }

  /// Adds a row.
  mutating func append(_ fields: [Field]) {
    text += fields.map(\.text).joined(separator: "\t") + "\n"
    numbers.append(fields.map(\.value))
  }

  /// The numbers of column `c`, counted from 0.
  func column(_ c: Int) -> [Double?] { numbers.map { c < $0.count ? $0[c] : nil } }

  /// Ends a curve: the next row begins another one.
  mutating func endLine() { text += "\n" }

  /// Ends a data set (gnuplot's `index`); the next one begins with the column names.
  mutating func endPart() { text += "\n\n" + header }

  /// A text made safe for a field: one line of at most 40 characters. gnuplot reads a quote as the start of a quoted field and
  /// a backslash as an escape, so both are replaced by similar-looking characters.
  static func label(_ text: String) -> String {
    let plain = plainText(text, limit: 40)
    let shown = String(
      String.UnicodeScalarView(
        plain.unicodeScalars.map { $0 == "\"" ? "”" : $0 == "\\" ? "⧵" : $0 }))
    // gnuplot would skip an empty field, and does not escape ]]>, which is an error in an SVG.
    return shown.isEmpty ? " " : shown.replacing("]]>", with: "]] >")
  }
}
