/// The name of one of several files that make up a model: `NAME-00002-of-00005.gguf`, counted from 1.
struct PartName {
  /// What precedes the number.
  let stem: String
  /// The part's number, from 1.
  let number: Int
  /// The number of parts.
  let count: Int
  /// The extension with its dot: `.gguf` or `.safetensors`.
  let ending: String

  /// Parses a file name; nil if it is not the name of a part.
  init?(_ name: String) {
    guard let match = name.wholeMatch(of: /(.*)-([0-9]{5,6})-of-([0-9]{5,6})(\.[a-z]+)/),
      let number = Int(match.2), let count = Int(match.3), (1...max(count, 1)).contains(number)
    else { return nil }
    (stem, self.number, self.count) = (String(match.1), number, count)
    ending = String(match.4)
  }

  /// The name of another part.
  func name(of number: Int) -> String {
    "\(stem)-\(Self.digits(number))-of-\(Self.digits(count))\(ending)"
  }

  /// What the names of all parts of a model have in common.
  var model: String { "\(stem) \(count) \(ending)" }

  private static func digits(_ number: Int) -> String {
    let text = "\(number)"
    return String(repeating: "0", count: max(0, 5 - text.count)) + text
  }
}
