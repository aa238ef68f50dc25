import Alignment
import Analysis
import Foundation
import LinearAlgebra
import TestSupport
import Testing

@testable import Report

/// What the page's script is given: the record's numbers, for every choice there is.
struct LiveFigureTests {
  private typealias Object = [String: Any]

  private func object(_ json: PageJSON) throws -> Object {
    try #require(
      try JSONSerialization.jsonObject(with: Data(json.text.utf8)) as? Object)
  }

  private func figures(_ sample: SampleRun, bytes: Int? = nil) throws -> [String: LiveFigure] {
    let scratch = try ScratchFolder()
    var run = try ReportedRun(sample.stored(in: scratch), label: "run", number: 1)
    if let bytes { run.liveBytes = bytes }
    let colors = ColorScale.all([run])[0]
    let all = [
      Figure.depth(run, colors), Figure.tokens(run, colors), Figure.spectra(run), Figure.norms(run),
      Figure.paths(run),
    ].compactMap { $0 }
    return all.reduce(into: [:]) { $0[String($1.name.dropFirst(6))] = $1.live }
  }

  /// A view for every choice, and in each the numbers of its prompts to half a unit of the last digit.
  @Test(arguments: [1, 3]) func couplingIsTheRecords(prompts: Int) throws {
    let sample = SampleRun(prompts: prompts)
    let figure = try #require(try figures(sample)["depth"])
    #expect(figure.controls.map(\.label) == (prompts > 1 ? ["Prompt"] : []))
    #expect(figure.views.map(\.key) == (prompts > 1 ? ["0", "1", "2", "3"] : [""]))
    let all = sample.record.prompts.map { $0.coupling[0] }
    for (v, view) in figure.views.enumerated() {
      let shown = v == 0 ? all : [all[v - 1]]
      let values = try #require(try object(view.panels[0])["values"] as? [Any])
      #expect(values.count == 16)
      for i in 0..<16 where i % 5 != 0 {
        let mean = shown.reduce(0) { $0 + ($1.matrix[i / 4][i % 4] ?? 0) } / Double(shown.count)
        let value = try #require(values[i] as? Int)
        // Half a unit, and the rounding of a product with 10⁵.
        #expect(abs(Double(value) - mean * 1e5) <= 0.5 + 1e-6)
      }
      // A block in its own basis says nothing.
      #expect((0..<4).allSatisfy { values[5 * $0] is NSNull })
    }
  }

  @Test func valuesAreTheRecords() throws {
    let sample = SampleRun(prompts: 2)
    let figure = try #require(try figures(sample)["spectra"])
    // Against k or along depth; the mean and each prompt; the switch of the ranks only hides.
    #expect(figure.views.count == 6 && figure.controls.map(\.label) == ["Values", "Prompt"])
    let view = try #require(figure.views.first { $0.key == "0.2" })
    let series = try #require(try object(view.panels[0])["series"] as? [Object])
    for (found, layer) in zip(series, sample.record.prompts[1].layers) {
      let values = try #require(found["y"] as? [Double])
      // Seven significant digits.
      for (a, b) in zip(values, layer.singularValues) { #expect(abs(a - b) <= 5e-7 * b) }
      #expect(found["name"] as? String == "block \(layer.layer)")
    }
  }

  /// Where not all prompts have room, the page says so; where not even one has, the picture stays alone.
  @Test func aPageHasACap() throws {
    let sample = SampleRun(prompts: 3)
    let all = try figures(sample)
    #expect(all.values.allSatisfy { $0.note == nil })
    let some = try #require(try figures(sample, bytes: 2 * 12 * 16)["depth"])
    #expect(some.views.count == 3)
    #expect(some.note?.hasPrefix("Of 3 prompts, the first 2 can be shown alone") == true)
    #expect(try figures(sample, bytes: 10)["depth"] == nil)
  }

  @Test func tokensHaveTheirTexts() throws {
    let figure = try #require(
      try figures(SampleRun(prompts: 2, tokens: 3, kind: .tokens, text: "Ġa"))["tokens"])
    let axis = try #require(try object(figure.views[0].panels[0])["x"] as? Object)
    #expect(axis["names"] as? [String] == ["0 ␣a", "1 ␣a", "2 ␣a"])
    let paths = try #require(try figures(SampleRun(prompts: 1, tokens: 2, text: "Ġa"))["paths"])
    let series = try #require(try object(paths.views[0].panels[0])["series"] as? [Object])
    #expect(series.map { $0["end"] as? String } == ["0 ␣a", "1 ␣a"])
  }
}

/// JSON in a page, and the hash of its script.
struct PageJSONTests {
  @Test(arguments: hostileTexts) func textIsInert(text: String) throws {
    let json = PageJSON.object([(text, .text(text))]).text
    #expect(!json.contains { "<>&'\u{2028}\u{2029}".contains($0) })
    #expect(!json.unicodeScalars.contains { $0.value < 0x20 })
    let read = try #require(
      try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: String])
    #expect(read == [text: text])
  }

  @Test func numbers() {
    let numbers: [Double?] = [nil, .nan, .infinity, 0, 0.1, -1.5e-9, 123456.75, 1e300]
    #expect(
      PageJSON.numbers(numbers).text == "[null,null,null,0,0.1,-1.5e-09,123456.8,1e+300]")
    #expect(PageJSON.scaled(-0.000714, digits: 5).text == "-71")
    #expect([nil, .nan, 1e300].allSatisfy { PageJSON.scaled($0, digits: 5).text == "null" })
  }

  /// A bound is never written smaller than it is.
  @Test(arguments: [1e-300, 1.2e-5, 0.00999, 0.0121, 1, 99.5, 1e10])
  func boundsAreRoundedUp(bound: Double) throws {
    let written = try #require(Double(PageJSON.bound(bound).text))
    #expect(written >= bound * (1 - 1e-15) && written <= bound * 1.11)
    #expect([nil, .nan, -1].allSatisfy { PageJSON.bound($0).text == "null" })
    #expect(PageJSON.bound(0).text == "0")
  }

  /// Of the given number of letters a, as Python's hashlib has them: one block or two, and the lengths about their ends.
  @Test(arguments: [
    (0, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
    (55, "n0OQ+NMMLdkuyfCVtl4rmumwqSWlJY4kHJ8ekQ9zQxg="),
    (56, "s1Q5pKxvCUi21vnjxq8PX1kM4g8b3nCQ73lwaG7Gc4o="),
    (63, "fT50oF19sVvOStnsBljqmOPwbu7PFrTG//LaRX3cLzQ="),
    (64, "/+BU/nrgy23GXDr5th1SCfQ5hR20PQulmXM33xVGaOs="),
    (119, "MeulHDE6XAgiat8Y1KNZz9/Y0ugWsT9K+VL36mWE3Ps="),
    (1000, "Qe3s5C1j6Nm/UVqbppMuHCDLyfWl0TRkWttdsblzfqM="),
  ])
  func hashes(count: Int, hash: String) {
    #expect(SHA256.base64(String(repeating: "a", count: count)) == hash)
  }

  @Test func tablesAreLinkedAsCSV() throws {
    var table = DataTable("-x", columns: ["k", "a, b"])
    table.append([1, .label("=1+1")])
    table.endPart()
    table.append([-2, .label("<\"é\">")])
    let link = try #require(table.csvLink)
    #expect(!link.address.contains { "<>\"'& \n".contains($0) })
    let csv = link.address.dropFirst("data:text/csv;charset=utf-8,".count).removingPercentEncoding
    #expect(csv == "k,\"a, b\"\n1,'=1+1\n-2,<”é”>\n")
    for _ in 0..<20_000 { table.append([1, 2]) }
    #expect(table.csvLink == nil)
  }
}

/// Names beside the ends of paths.
struct PathLabelTests {
  @Test(arguments: [1, 8, 60]) func doNotCollide(count: Int) {
    var random = SeededGenerator(seed: UInt64(count))
    let paths = (0..<count).map { _ in [[0, 0], [random.normal(), random.normal()]] }
    let names = (0..<count).map { "\($0) ␣token" }
    let labels = PathLabel.all(paths, names, in: (400, 500), (-3, 3), (-3, 3))
    #expect(labels.count == count && (count > 1 || labels.allSatisfy { $0.place != nil }))
    // In pixels, a letter 8 wide and a line 16 high.
    struct Box { let x, y, width: Double }
    let boxes = labels.compactMap { label -> Box? in
      guard let place = label.place else { return nil }
      let (x, y) = ((place[0] + 3) / 6 * 400, (place[1] + 3) / 6 * 500)
      return Box(x: x, y: y, width: 8 * Double(label.text.unicodeScalars.count))
    }
    for (i, a) in boxes.enumerated() {
      #expect(a.x >= 0 && a.x + a.width <= 400 && a.y >= 8 && a.y <= 492)
      for b in boxes[..<i] {
        let meets = a.x < b.x + b.width && b.x < a.x + a.width && abs(a.y - b.y) < 16
        #expect(!meets)
      }
    }
  }
}
