import Foundation
import TestSupport
import Testing

#if canImport(FoundationXML)
  import FoundationXML
#endif

@testable import Report

/// Whether the figures can be drawn here at all; where not, these tests say that they were skipped.
let hasGnuplot = (try? Gnuplot()) != nil

/// gnuplot as a process: what it is given, and what comes back.
@Suite(
  .enabled(
    if: hasGnuplot, "gnuplot is not installed: no figure can be drawn (apt-get install gnuplot-nox)"
  ))
struct GnuplotTests {
  @Test(arguments: hostileTexts)
  func textIsDrawnAndDoesNothing(text: String) throws {
    let scratch = try ScratchFolder()
    var table = DataTable(columns: ["x", "y", text])
    table.append([1, 2, .label(text)])
    table.append([2, 1, .label("plain")])
    let figure = Figure(
      name: "text", title: "", caption: "", height: 400, tables: [table],
      commands: """
        set xrange [0:3]
        set yrange [0:3]
        set key
        plot name.'.dat' using 1:2:3 with labels, name.'.dat' using 1:2 with lines title columnhead(3)
        """)
    let folder = try ReportFolder(scratch["report"])
    #expect(try folder.draw(figure, by: try Gnuplot()) == "")
    let picture = try Drawing(try folder.picture(of: figure))
    #expect(!picture.elements.contains("script"))
    let shown = DataTable.label(text).trimmingCharacters(in: .whitespaces)
    if !shown.isEmpty {
      // Once as a label, once in the key.
      #expect(picture.texts.count { $0.trimmingCharacters(in: .whitespaces) == shown } == 2)
    }
    // Nothing was run that wrote a file.
    #expect(scratch.contents == ["report"])
    let files = try FileManager.default.contentsOfDirectory(
      atPath: scratch["report/partial/figures"])
    #expect(files.sorted() == ["text.dat", "text.gp", "text.png", "text.svg"])
  }

  @Test func sayWhatIsWrong() throws {
    let scratch = try ScratchFolder()
    try scratch.write("plot 'missing.dat' using 1:2".utf8, to: "wrong.gp")
    let error = #expect(throws: ReportError.self) {
      try Gnuplot().run("wrong", in: scratch.path)
    }
    #expect("\(error!)".contains("wrong") && "\(error!)".contains("missing.dat"))
  }

  @Test func stopsAFigureThatDoesNotEnd() throws {
    let scratch = try ScratchFolder()
    try scratch.write("while (1) { x = 1 }".utf8, to: "endless.gp")
    var gnuplot = try Gnuplot()
    gnuplot.seconds = 1
    #expect(throws: ReportError.gnuplotTimedOut(figure: "endless", seconds: 1)) {
      try gnuplot.run("endless", in: scratch.path)
    }
  }
}

/// What needs no gnuplot to be tried.
struct GnuplotPlaceTests {
  @Test(arguments: ["", "/nowhere", "relative:.", ":"])
  func saysHowToInstallIt(path: String) {
    let error = #expect(throws: ReportError.noGnuplot) { try Gnuplot(path: path) }
    #expect("\(error!)".contains("gnuplot-nox"))
  }
}

/// An SVG file: what elements there are, and what is written where.
final class Drawing: NSObject, XMLParserDelegate {
  private(set) var elements: Set<String> = []
  private(set) var texts: [String] = []
  /// Texts whose anchor lies outside the picture.
  private(set) var outside: [String] = []
  private var text: String?
  private var size = (width: 0.0, height: 0.0)
  private var anchor = (x: 0.0, y: 0.0)

  /// Throws when it is not well-formed.
  init(_ data: Data) throws {
    super.init()
    let parser = XMLParser(data: data)
    parser.delegate = self
    guard parser.parse() else { throw parser.parserError ?? CocoaError(.fileReadCorruptFile) }
  }

  func parser(
    _ parser: XMLParser, didStartElement name: String, namespaceURI: String?,
    qualifiedName: String?, attributes: [String: String]
  ) {
    elements.insert(name.lowercased())
    let box = (attributes["viewBox"] ?? "").split(separator: " ").compactMap { Double($0) }
    if name == "svg", box.count == 4 { size = (box[2], box[3]) }
    // gnuplot puts every text into a group that moves it.
    let moved = attributes["transform"]?.firstMatch(of: /translate\(([-0-9.]+),([-0-9.]+)\)/)
    if name == "g", let moved { anchor = (Double(moved.1) ?? 0, Double(moved.2) ?? 0) }
    if name == "text" { text = "" }
  }

  func parser(_ parser: XMLParser, foundCharacters characters: String) { text? += characters }

  func parser(
    _ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?
  ) {
    if name == "text", let text {
      texts.append(text)
      // The anchor is on the base line: a text on the upper edge is cut.
      if !(0...size.width).contains(anchor.x) || !(8...size.height).contains(anchor.y) {
        outside.append(text)
      }
    }
    if name == "text" { text = nil }
  }
}
