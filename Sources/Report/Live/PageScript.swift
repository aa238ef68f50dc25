/// The page's script and style, which are resources of this package.
enum PageScript {
  /// The script, wrapped in a function so that it defines no global names.
  static let source: String = {
    let parts = [
      PackageResources.drawing_js, PackageResources.charts_js, PackageResources.lines_js,
      PackageResources.page_js,
    ].map { String(decoding: $0, as: UTF8.self) }
    return "\n(() => {\n\"use strict\";\n" + parts.joined(separator: "\n") + "})();\n"
  }()

  static let style = String(decoding: PackageResources.page_css, as: UTF8.self)
}
