/// The page's own script and style, which are files of this package and part of its code.
enum PageScript {
  /// The script: one function, so that nothing of it is visible from elsewhere.
  static let source: String = {
    let parts = [
      PackageResources.drawing_js, PackageResources.charts_js, PackageResources.lines_js,
      PackageResources.page_js,
    ].map { String(decoding: $0, as: UTF8.self) }
    return "\n(() => {\n\"use strict\";\n" + parts.joined(separator: "\n") + "})();\n"
  }()

  static let style = String(decoding: PackageResources.page_css, as: UTF8.self)
}
