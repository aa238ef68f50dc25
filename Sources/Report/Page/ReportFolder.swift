import Analysis
import Foundation

/// The folder of a report: `index.html`, and the folder `figures` beside it.
///
/// Both are written in its subfolder `partial` and moved into place at the end, so that an earlier report stays until then.
struct ReportFolder {
  private let home: String
  private let partial: OutputFolder
  private let figures: OutputFolder

  private static let page = "index.html"
  private static let figuresName = "figures"
  private static let partialName = "partial"

  /// Opens a new or empty folder, or one that holds a report and nothing else. Throws `ReportError.isRun`, `isTaken`,
  /// and `RunError.cannotWrite`.
  init(_ path: String) throws {
    home = URL(fileURLWithPath: path).standardizedFileURL.path
    let files = FileManager.default
    // The path may also be a file.
    if files.fileExists(atPath: home) {
      let contents = try? files.contentsOfDirectory(atPath: home)
      guard let contents, Self.isReport(home, contents) else {
        let isRun = contents?.contains("result.json") == true || Self.isBegunRun(home)
        throw isRun ? ReportError.isRun(path: path) : ReportError.isTaken(path: path)
      }
    }
    let partial = "\(home)/\(Self.partialName)"
    // Remains of a report whose process was killed.
    try? files.removeItem(atPath: partial)
    self.partial = try OutputFolder(making: partial, name: path)
    figures = try OutputFolder(making: "\(partial)/\(Self.figuresName)", name: path)
  }

  /// Whether a folder holds only files of a report.
  private static func isReport(_ folder: String, _ contents: [String]) -> Bool {
    let files = FileManager.default
    guard Set(contents).isSubset(of: [page, figuresName, partialName]) else { return false }
    if contents.contains(page) {
      let html = files.contents(atPath: "\(folder)/\(page)") ?? Data()
      guard html.range(of: Data(ReportPage.mark.utf8)) != nil else { return false }
    }
    // A killed process leaves figures without a page, and some of them may be incomplete.
    let inside = (try? files.contentsOfDirectory(atPath: "\(folder)/\(figuresName)")) ?? []
    let types: Set = ["dat", "gp", "svg", "png", "tmp"]
    return inside.allSatisfy { types.contains(($0 as NSString).pathExtension) }
      && !isBegunRun(folder)
  }

  private static func isBegunRun(_ folder: String) -> Bool {
    FileManager.default.fileExists(atPath: "\(folder)/\(partialName)/manifest.json")
  }

  /// Writes a figure's data and script, draws both pictures, and returns gnuplot's warnings.
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
            figure: figure.name, reason: "the \(type) file is missing or incomplete")
        }
      }
    } catch ReportError.gnuplotFailed(let name, let reason) {
      // gnuplot does not report a full disk, and may exit with status 0.
      try checkRoom()
      throw ReportError.gnuplotFailed(figure: name, reason: reason)
    }
    let svg = String(decoding: try picture(of: figure), as: UTF8.self)
    if let sharp = Self.sharpened(svg) {
      try figures.write(Data(sharp.utf8), to: "\(figure.name).svg")
    }
    return warnings
  }

  /// Throws `RunError.cannotWrite` if the disk is full.
  private func checkRoom() throws {
    let name = "room"
    defer { for file in [name, "\(name).tmp"] { unlink("\(figures.path)/\(file)") } }
    try figures.write(Data(repeating: 0, count: 1 << 16), to: name)
  }

  /// The SVG with sharp heat maps, or nil if it needs no change. A large heat map is an image of one pixel per entry, which
  /// viewers would blur when they enlarge it.
  private static func sharpened(_ svg: String) -> String? {
    let image = "preserveAspectRatio='none' xlink:href='data:image/png"
    guard svg.contains(image) else { return nil }
    return svg.replacing(image, with: "style='image-rendering:pixelated' \(image)")
  }

  /// The SVG of a drawn figure. Throws Foundation's errors.
  func picture(of figure: Figure) throws -> Data {
    try Data(contentsOf: URL(fileURLWithPath: "\(figures.path)/\(figure.name).svg"))
  }

  /// Writes the page, and replaces an earlier report by it and the figures. Throws `RunError.cannotWrite`.
  func finish(_ page: ReportPage) throws(RunError) {
    try partial.write(Data(page.html.utf8), to: Self.page)
    for name in [Self.page, Self.figuresName] {
      try? FileManager.default.removeItem(atPath: "\(home)/\(name)")
    }
    // The page is moved last: if it exists, the report is complete.
    for name in [Self.figuresName, Self.page] {
      guard rename("\(partial.path)/\(name)", "\(home)/\(name)") == 0 else {
        throw partial.failure()
      }
    }
    rmdir(partial.path)
  }

  /// Removes the unfinished report.
  func takeBack() { partial.takeBack() }
}
