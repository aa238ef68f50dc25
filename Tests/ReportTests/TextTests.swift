import Files
import Foundation
import Testing

@testable import Report

/// How a user's text is shown, and that none of it has an effect.
struct TextTests {
  @Test(arguments: hostileTexts)
  func plainTextIsOneShortLine(text: String) {
    let plain = plainText(text, limit: 40)
    #expect(plain.unicodeScalars.count <= 40)
    let categories = plain.unicodeScalars.map(\.properties.generalCategory)
    #expect(
      !categories.contains {
        [.control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .unassigned]
          .contains($0)
      })
  }

  @Test func plainTextKeepsWhatShows() {
    #expect(plainText("¿Qué? שלום <&> 'x' 100 %", limit: 40) == "¿Qué? שלום <&> 'x' 100 %")
    #expect(plainText("a\nb\tc", limit: 40) == "a↵b→c")
    #expect(plainText("abcdef", limit: 4) == "abc…")
    #expect(plainText("abcd", limit: 4) == "abcd")
    #expect(shortened("a name, step 100", limit: 8) == "a n… 100")
    #expect(shortened("a name", limit: 8) == "a name")
  }

  @Test(arguments: hostileTexts)
  func escapedTextHasNoMarkup(text: String) {
    let escaped = escapedHTML(text)
    #expect(!escaped.contains { "<>\"'".contains($0) })
    // Every ampersand begins one of ours.
    let entities = escaped.split(separator: "&", omittingEmptySubsequences: false).dropFirst()
    #expect(
      entities.allSatisfy { part in
        ["amp;", "lt;", "gt;", "quot;", "#39;"].contains { part.hasPrefix($0) }
      })
  }

  @Test(arguments: hostileTexts)
  func aFieldIsOneField(text: String) {
    let label = DataTable.label(text)
    #expect(!label.isEmpty && label.unicodeScalars.count <= 40)
    #expect(!label.contains { "\t\n\r\"\\".contains($0) })
    var table = DataTable(columns: [text, "b"])
    table.append([.label(text), .number(.nan)])
    let lines = table.text.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.count == 3 && lines[2].isEmpty)
    #expect(lines.dropLast().allSatisfy { $0.split(separator: "\t").count == 2 })
    #expect(lines[1].hasSuffix("\tNaN"))
  }

  @Test func numbersForPeople() {
    #expect(short(nil) == "–" && short(.infinity) == "–")
    #expect(short(0) == "0")
    #expect(short(-0.04) == "−0.0400")
    #expect(short(6.07e-5) == "6.1e−05")
    #expect(short(4.6634) == "4.663")
    #expect(short(141.27) == "141.3")
  }
}
