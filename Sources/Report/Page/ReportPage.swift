import Alignment
import Analysis
import Foundation

/// The page: a table of the runs, then every figure with its caption. The page fetches nothing. Without JavaScript it shows
/// the pictures that gnuplot drew; with JavaScript, its script draws the figures again, interactively, from data in the page.
struct ReportPage {
  /// The complete HTML of the page.
  let html: String

  /// The text by which a page is recognised as a report of this program.
  static let mark = "<p class=\"kind\">Krylens report</p>"

  /// `picture` returns a figure's SVG, which is embedded as an image, because scripts and links inside an image are inert.
  init(
    runs: [ReportedRun], sections: [RunReport.Section], picture: (Figure) throws -> Data
  ) rethrows {
    let models = Set(runs.map(\.record.model.name))
    let title =
      models.count == 1
      ? plainText(runs[0].record.model.name, limit: 80)
      : "\(runs.count) runs of \(models.count) models"
    var body = ""
    body += Self.unfinished(runs) + Self.failed(runs)
    body += RunTable(runs).html
    let isFolded = sections.count { $0.run != nil } > 3
    for section in sections where !section.figures.isEmpty {
      let figures = try section.figures.map { try Self.figure($0, picture($0)) }.joined()
      guard let run = section.run else {
        body += "<section>\n\(figures)</section>\n"
        continue
      }
      let name = "<bdi>\(escapedHTML(run.label))</bdi>"
      if runs.count == 1 {
        body += "<section>\n\(figures)</section>\n"
      } else if isFolded {
        body +=
          "<details id=\"\(run.stem)\"><summary><h2>\(name)</h2></summary>\n\(figures)</details>\n"
      } else {
        body += "<section id=\"\(run.stem)\"><h2>\(name)</h2>\n\(figures)</section>\n"
      }
    }
    body += Self.legend(runs)
    self.init(
      title: title, lead: Self.lead(runs), body: body, figures: sections.flatMap(\.figures),
      versions: runs.map(\.record.krylens))
  }

  /// A page with the given HTML. `title` is a user's text and is escaped here; `lead` is HTML.
  init(title: String, lead: String, body: String, figures: [Figure], versions: [String]) {
    let data = PageJSON.object(figures.compactMap { f in f.live.map { (f.name, $0.json) } })
    let script = PageScript.source
    let versions = Set(versions).sorted().map { plainText($0, limit: 20) }
    html = """
      <!DOCTYPE html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta http-equiv="Content-Security-Policy" content="default-src 'none'; base-uri 'none'; form-action 'none'; \
      img-src data:; style-src 'unsafe-inline'; script-src 'sha256-\(SHA256.base64(script))'">
      <meta name="color-scheme" content="light dark">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <link rel="icon" href="data:,">
      <title>\(escapedHTML(title)) – Krylens report</title>
      <style>
      \(PageScript.style)
      </style>
      </head>
      <body>
      <main>
      <header>\(Self.mark)<h1><bdi>\(escapedHTML(title))</bdi></h1><p class="lead">\(lead)</p></header>
      \(body)</main>
      <footer><p>Runs of Krylens \(escapedHTML(versions.joined(separator: ", "))); figures by gnuplot. \
      The folder <code>figures</code> beside this page holds every figure as SVG and PNG, its data and its gnuplot commands.</p></footer>
      <script type="application/json" id="data">\(data.text)</script>
      <script>\(script)</script>
      </body>
      </html>

      """
  }

  /// The opening paragraph.
  private static func lead(_ runs: [ReportedRun]) -> String {
    guard runs.count == 1, let run = runs.first else {
      let prompts = runs.map(\.prompts.count).reduce(0, +)
      return "Residual Jacobians of \(runs.count) runs, \(counted(prompts, "prompt")) in all: "
        + "coupling between blocks, and paths of tokens."
    }
    let (m, prompts) = (run.record.model, counted(run.prompts.count, "prompt"))
    return "\(counted(m.layers, "block")) of width \(m.width), "
      + "by the leading \(run.record.settings.top) singular triplets of each residual Jacobian, "
      + "on \(prompts). " + escapedHTML(run.levels)
  }

  private static func unfinished(_ runs: [ReportedRun]) -> String {
    let names = runs.filter { !$0.record.complete }.map {
      "<bdi>\(escapedHTML($0.label))</bdi> (\(counted($0.prompts.count, "prompt")) so far)"
    }
    return names.isEmpty
      ? ""
      : "<p class=\"notice\">Not finished: \(names.joined(separator: ", ")). "
        + "This page shows the prompts that were finished.</p>\n"
  }

  /// The prompts that failed, with the reasons.
  private static func failed(_ runs: [ReportedRun]) -> String {
    let all = runs.flatMap { run in
      run.record.prompts.compactMap { prompt in
        prompt.failed.map { failure in
          let text = (failure.text ?? prompt.text).map { ", “\(plainText($0, limit: 60))”" } ?? ""
          let place =
            (failure.layer == 0 ? "at the embedding" : "at block \(failure.layer)")
            + (failure.token.map { ", token \($0)" } ?? "")
          let reason = plainText(failure.reason, limit: 300)
          return "<li><bdi>\(escapedHTML(run.label))</bdi>: prompt \(failure.number)"
            + "<bdi>\(escapedHTML(text))</bdi>, \(place): <bdi>\(escapedHTML(reason))</bdi></li>\n"
        }
      }
    }
    guard !all.isEmpty else { return "" }
    let (shown, most) = (all.prefix(10), 10)
    return "<div class=\"notice\">Failed, and not in any figure or mean:\n<ul>\n\(shown.joined())"
      + (all.count > most ? "<li>and \(all.count - most) more</li>\n" : "") + "</ul></div>\n"
  }

  static func figure(_ figure: Figure, _ svg: Data) -> String {
    let tables = figure.tables.filter { !$0.isForNames }
    let csv = tables.compactMap(\.csvLink).enumerated().map { i, link in
      "<a class=\"plain\" download=\"\(figure.name)\(link.suffix).csv\" href=\"\(link.address)\">CSV"
        + (i > 0 ? " \(i + 1)" : "") + "</a>"
    }.joined(separator: " ")
    let data = tables.map { table in
      "<a href=\"figures/\(figure.name)\(table.suffix).dat\">data\(table.suffix.replacing("-", with: " "))</a>"
    }.joined(separator: " · ")
    return """
      <figure id="\(figure.name)">
      <h3>\(escapedHTML(figure.title))</h3>
      <div class="picture"><img alt="\(escapedHTML(figure.title))" width="\(Figure.width)" \
      height="\(figure.height)" src="data:image/svg+xml;base64,\(svg.base64EncodedString())"></div>
      <figcaption dir="auto">\(escapedHTML(figure.caption))</figcaption>
      <p class="files"><a href="figures/\(figure.name).svg">SVG</a> · \
      <a href="figures/\(figure.name).png">PNG</a> · \(data) · \
      <a href="figures/\(figure.name).gp">commands</a> \(csv)</p>
      </figure>

      """
  }

  private static func legend(_ runs: [ReportedRun]) -> String {
    """
    <section class="legend">
    <h2>How to read it</h2>
    <dl>
    <dt>Coupling</dt><dd>How well the leading singular vectors of block j diagonalise the residual Jacobian of \
    block i: A(i|j) = Uⱼᵀ Jᵢ Vⱼ is compared with Sᵢ. 1 if they diagonalise it with the values Sᵢ; about the null level if they \
    are unrelated to it.</dd>
    <dt>Null level</dt><dd>The score expected of bases that are independent of the Jacobian. A coupling is evidence of \
    shared structure only if it is clearly above this level.</dd>
    <dt>Line-shape score</dt><dd>L / ‖sum of the unit steps‖ of a token's path through L blocks: 1 for a straight line, \
    about √L for steps in independent directions. Figures show the last token's, as align prints it; \
    the table also the mean over a prompt's tokens after the first.</dd>
    <dt>Growth, expodistance</dt><dd>The mean a of ln(‖xˡ‖ / ‖xˡ⁻¹‖) over blocks, and the variance of it over a²: 0 when \
    the norm grows exactly exponentially.</dd>
    </dl>
    <p>After Aubry, Meng, Sugolov and Papyan, “Transformer Block Coupling and its Correlation with Generalization \
    in LLMs”, arXiv 2407.07810.</p>
    </section>

    """
  }
}
