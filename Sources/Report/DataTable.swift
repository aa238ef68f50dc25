/// The data of a figure, as it lies beside it: tab-separated, one line of column names, `NaN` where a number is missing.
///
/// The only way by which text reaches gnuplot. There it is drawn by `with labels` or as a column's title, `noenhanced`, so
/// that nothing in it is a command, a format or markup.
struct DataTable {
  /// Behind the figure's name, `.dat` is added: `-rows`; empty for the first.
  let suffix: String
  /// Whether it only says where names stand: nothing to be read by itself.
  let isForNames: Bool
  private(set) var text: String
  /// The numbers of its rows, nil where there is none.
  private(set) var numbers: [[Double?]] = []
  private let header: String

  /// A field.
  enum Field: ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral {
    /// A number, missing when it is nil or not finite.
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

  /// With these columns, and no rows yet.
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

  /// A column, by its place.
  func column(_ c: Int) -> [Double?] { numbers.map { c < $0.count ? $0[c] : nil } }

  /// Ends a line of a figure: the next row begins another.
  mutating func endLine() { text += "\n" }

  /// Ends what gnuplot calls an index, which begins with the names of the columns.
  mutating func endPart() { text += "\n\n" + header }

  /// What of a text may stand in a field: one line, at most 40 characters. gnuplot takes a quote for the begin of a quoted
  /// field and a backslash for an escape, so that others that look like them stand there.
  static func label(_ text: String) -> String {
    let plain = plainText(text, limit: 40)
    let shown = String(
      String.UnicodeScalarView(
        plain.unicodeScalars.map { $0 == "\"" ? "”" : $0 == "\\" ? "⧵" : $0 }))
    // An empty field would be none, and ]]> in an SVG is an error, which gnuplot does not know.
    return shown.isEmpty ? " " : shown.replacing("]]>", with: "]] >")
  }
}
