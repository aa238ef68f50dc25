import Analysis
import Foundation

/// The folder of a report: `index.html`, and `figures` beside it.
///
/// Both are made in its `partial` and take their places at the end, so that an earlier report stays until then.
struct ReportFolder {
  private let home: String
  private let partial: OutputFolder
  private let figures: OutputFolder

  private static let page = "index.html"
  private static let figuresName = "figures"
  private static let partialName = "partial"

  /// Opens it: a new or empty folder, or one that holds a report and nothing else. Throws `ReportError.isRun`, `isTaken`,
  /// and `RunError.cannotWrite`.
  init(_ path: String) throws {
    home = URL(fileURLWithPath: path).standardizedFileURL.path
    let files = FileManager.default
    // A file is in the way as well.
    if files.fileExists(atPath: home) {
      let contents = try? files.contentsOfDirectory(atPath: home)
      guard let contents, Self.isReport(home, contents) else {
        let isRun = contents?.contains("result.json") == true || Self.isBegunRun(home)
        throw isRun ? ReportError.isRun(path: path) : ReportError.isTaken(path: path)
      }
    }
    let partial = "\(home)/\(Self.partialName)"
    // What a report that was killed has left.
    try? files.removeItem(atPath: partial)
    self.partial = try OutputFolder(making: partial, name: path)
    figures = try OutputFolder(making: "\(partial)/\(Self.figuresName)", name: path)
  }

  /// Whether a folder holds nothing but what reports are made of.
  private static func isReport(_ folder: String, _ contents: [String]) -> Bool {
    let files = FileManager.default
    guard Set(contents).isSubset(of: [page, figuresName, partialName]) else { return false }
    if contents.contains(page) {
      let html = files.contents(atPath: "\(folder)/\(page)") ?? Data()
      guard html.range(of: Data(ReportPage.mark.utf8)) != nil else { return false }
    }
    // Of a report that was killed there are figures without a page, half-written ones among them.
    let inside = (try? files.contentsOfDirectory(atPath: "\(folder)/\(figuresName)")) ?? []
    let types: Set = ["dat", "gp", "svg", "png", "tmp"]
    return inside.allSatisfy { types.contains(($0 as NSString).pathExtension) }
      && !isBegunRun(folder)
  }

  private static func isBegunRun(_ folder: String) -> Bool {
    FileManager.default.fileExists(atPath: "\(folder)/\(partialName)/manifest.json")
  }

  /// Writes a figure's data and script, and has both pictures drawn; returns what gnuplot warns of.
  ///
  /// Throws `RunError.cannotWrite` and `ReportError`.
  @discardableResult
  func draw(_ figure: Figure, by gnuplot: Gnuplot) throws -> String {
    for table in figure.tables {
      try figures.write(Data(table.text.utf8), to: "\(figure.name)\(table.suffix).dat")
    }
    try figures.write(Data(figure.script.utf8), to: "\(figure.name).gp")
    let warnings: String
    do {
      warnings = try gnuplot.run(figure.name, in: figures.path)
      for (type, end) in [("svg", Data("</svg>".utf8)), ("png", Data("IEND".utf8))] {
        let data = FileManager.default.contents(atPath: "\(figures.path)/\(figure.name).\(type)")
        guard data?.suffix(64).range(of: end) != nil else {
          throw ReportError.gnuplotFailed(
            figure: figure.name, reason: "no whole \(type) was written")
        }
      }
    } catch ReportError.gnuplotFailed(let name, let reason) {
      // gnuplot does not say so when the disk is full, and may well end as if nothing were wrong.
      try checkRoom()
      throw ReportError.gnuplotFailed(figure: name, reason: reason)
    }
    let svg = String(decoding: try picture(of: figure), as: UTF8.self)
    if let sharp = Self.sharpened(svg) {
      try figures.write(Data(sharp.utf8), to: "\(figure.name).svg")
    }
    return warnings
  }

  /// Throws `RunError.cannotWrite` where nothing more can be written.
  private func checkRoom() throws {
    let name = "room"
    defer { for file in [name, "\(name).tmp"] { unlink("\(figures.path)/\(file)") } }
    try figures.write(Data(repeating: 0, count: 1 << 16), to: name)
  }

  /// A large heat map lies in the SVG as a picture of one dot an entry, which viewers would blur as they enlarge it.
  private static func sharpened(_ svg: String) -> String? {
    let image = "preserveAspectRatio='none' xlink:href='data:image/png"
    guard svg.contains(image) else { return nil }
    return svg.replacing(image, with: "style='image-rendering:pixelated' \(image)")
  }

  /// The bytes of a drawn figure's SVG. Throws Foundation's errors.
  func picture(of figure: Figure) throws -> Data {
    try Data(contentsOf: URL(fileURLWithPath: "\(figures.path)/\(figure.name).svg"))
  }

  /// Writes the page, and puts it and the figures in the place of an earlier report. Throws `RunError.cannotWrite`.
  func finish(_ page: ReportPage) throws(RunError) {
    try partial.write(Data(page.html.utf8), to: Self.page)
    for name in [Self.page, Self.figuresName] {
      try? FileManager.default.removeItem(atPath: "\(home)/\(name)")
    }
    // The page last: where it is, all of the report is.
    for name in [Self.figuresName, Self.page] {
      guard rename("\(partial.path)/\(name)", "\(home)/\(name)") == 0 else {
        throw partial.failure()
      }
    }
    rmdir(partial.path)
  }

  /// Removes what is not finished.
  func takeBack() { partial.takeBack() }
}
