/// The name of one of several files that are one model: `NAME-00002-of-00005.gguf`, counted from 1.
struct PartName {
  /// What comes before the number.
  let stem: String
  /// Which part it is.
  let number: Int
  /// How many there are.
  let count: Int
  /// `.gguf` or `.safetensors`.
  let ending: String

  /// nil for the name of a file that is no part.
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

  /// What all parts of one model have in common.
  var model: String { "\(stem) \(count) \(ending)" }

  private static func digits(_ number: Int) -> String {
    let text = "\(number)"
    return String(repeating: "0", count: max(0, 5 - text.count)) + text
  }
}
