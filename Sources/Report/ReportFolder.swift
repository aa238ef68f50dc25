import Analysis
import Foundation

/// The folder of a report: `index.html`, and `figures` beside it.
struct ReportFolder {
  private let folder: OutputFolder
  private let figures: OutputFolder

  /// Makes it. Throws `RunError.outputNotEmpty`, or `cannotWrite`.
  init(_ path: String) throws(RunError) {
    let files = FileManager.default
    // A file is in the way as well.
    if files.fileExists(atPath: path),
      (try? files.contentsOfDirectory(atPath: path))?.isEmpty != true
    {
      throw .outputNotEmpty(path: path)
    }
    let home = URL(fileURLWithPath: path).standardizedFileURL.path
    folder = try OutputFolder(making: home, name: path)
    figures = try OutputFolder(making: "\(home)/figures", name: path)
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
    let warnings = try gnuplot.run(figure.name, in: figures.path)
    for type in ["svg", "png"] {
      let data = FileManager.default.contents(atPath: "\(figures.path)/\(figure.name).\(type)")
      guard data?.isEmpty == false else {
        throw ReportError.gnuplotFailed(figure: figure.name, reason: "no \(type) was written")
      }
    }
    let svg = String(decoding: try picture(of: figure), as: UTF8.self)
    if let sharp = Self.sharpened(svg) {
      try figures.write(Data(sharp.utf8), to: "\(figure.name).svg")
    }
    return warnings
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

  /// Writes the page. Throws `RunError.cannotWrite`.
  func write(_ page: ReportPage) throws(RunError) {
    try folder.write(Data(page.html.utf8), to: "index.html")
  }

  /// Leaves nothing behind.
  func takeBack() { folder.takeBack() }
}
