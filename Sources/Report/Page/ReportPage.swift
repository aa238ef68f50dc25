import Alignment
import Analysis
import Foundation

/// The page: a table of the runs, then every figure with its caption. Nothing is fetched, and without JavaScript it shows the
/// pictures that gnuplot drew; with it, its script draws the figures again from data in the page, so that they can be pointed
/// at and switched.
struct ReportPage {
  /// All of it.
  let html: String

  /// By this a page is known for one of ours.
  static let mark = "<p class=\"kind\">Krylens report</p>"

  /// `picture` gives a figure's SVG, which goes into the page as an image: in an image nothing is run or fetched.
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

  /// A page of this HTML. `title` is a user's text, to be escaped; `lead` is not.
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
      Beside this page, in <code>figures</code>: every figure as SVG and PNG, its numbers and its commands.</p></footer>
      <script type="application/json" id="data">\(data.text)</script>
      <script>\(script)</script>
      </body>
      </html>

      """
  }

  /// The first thing to know.
  private static func lead(_ runs: [ReportedRun]) -> String {
    guard runs.count == 1, let run = runs.first else {
      let prompts = runs.map(\.prompts.count).reduce(0, +)
      return "Residual Jacobians of \(runs.count) runs, \(counted(prompts, "prompt")) in all: "
        + "how the blocks couple, and how the tokens travel."
    }
    let (m, prompts) = (run.record.model, counted(run.prompts.count, "prompt"))
    return "\(counted(m.layers, "block")) of width \(m.width), "
      + "seen through \(run.record.settings.top) singular triplets of each residual Jacobian, "
      + "on \(prompts). " + escapedHTML(run.levels)
  }

  private static func unfinished(_ runs: [ReportedRun]) -> String {
    let names = runs.filter { !$0.record.complete }.map {
      "<bdi>\(escapedHTML($0.label))</bdi> (\(counted($0.prompts.count, "prompt")) so far)"
    }
    return names.isEmpty
      ? ""
      : "<p class=\"notice\">Not finished: \(names.joined(separator: ", ")). "
        + "What is shown is of the prompts that were done.</p>\n"
  }

  /// The prompts that no figure shows, and why.
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
    return "<div class=\"notice\">Failed, and in no figure or mean:\n<ul>\n\(shown.joined())"
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
    block i: A(i|j) = Uⱼᵀ Jᵢ Vⱼ against Sᵢ. 1 when they do; about the null level when they have nothing to do with it.</dd>
    <dt>Null level</dt><dd>The score expected of bases that are independent of the Jacobian. A coupling says something \
    where it lies clearly above.</dd>
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
