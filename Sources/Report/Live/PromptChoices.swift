import Alignment
import Analysis

/// The choices of a prompt control: the mean over a run's prompts, and as many single prompts as the page has room for.
struct PromptChoices {
  /// The options, each with the prompts that it shows.
  let options: [(name: String, prompts: [Int])]
  /// A note about omitted prompts; nil if there are none.
  let note: String?

  /// The choices for a run whose single prompts take `bytesEach` bytes each; `isThere` tells which prompts have data.
  init(_ run: ReportedRun, bytesEach: Int, hasMean: Bool = true, where isThere: (Int) -> Bool) {
    let prompts = run.record.prompts
    let all = prompts.indices.filter { prompts[$0].failed == nil && isThere($0) }
    let room = run.liveBytes / max(bytesEach, 1)
    let single = all.prefix(all.count > 1 || !hasMean ? max(room, hasMean ? 0 : 1) : 0).map { p in
      (name: "\(p + 1)" + run.given(p).map { ": \($0)" }.joined(), prompts: [p])
    }
    let mean = (name: "mean over \(counted(all.count, "prompt"))", prompts: Array(all))
    options = (hasMean ? [mean] : []) + single
    note =
      single.count < all.count && all.count > 1
      ? "Of \(all.count) prompts, "
        + (single.isEmpty ? "none" : "the first \(single.count)")
        + " can be shown alone on this page; result.json has all of them." : nil
  }

  /// The control.
  var control: LiveFigure.Control { .init(label: "Prompt", options: options.map(\.name)) }
}

extension ReportedRun {
  /// The beginning of a prompt's text or of its image's name; empty if it was given as token ids.
  func given(_ p: Int) -> [String] {
    let prompt = record.prompts[p]
    return [prompt.text ?? prompt.image].compactMap { $0 }.map { plainText($0, limit: 40) }
  }

  /// `3 ␣France`, or `3` if the record has no text for the token.
  func tokenName(_ t: Int, prompt p: Int) -> String { tokenLabel(t, record.prompts[p].tokens) }

  /// The recorded readings of coupling: controls, and the reading for each choice of their options.
  ///
  /// Only the displayed reading if the record, made by an earlier version, does not have all combinations.
  var readings: (controls: [LiveFigure.Control], settings: [[Int]: CouplingSetting]) {
    let all = record.statistics.coupling.filter {
      $0.kind == kind && $0.setting.score == setting.score
    }
    .map(\.setting)
    let parts: [(label: String, name: (CouplingSetting) -> String)] = [
      ("Rank K", { "\($0.rank)" }), ("Sign", { $0.sign.rawValue }),
      ("Normalisation", { plainText($0.normalisation.rawValue, limit: 20) }),
      ("Form", { $0.form.rawValue }),
    ]
    var names = parts.map { part in
      all.map(part.name).reduce(into: [String]()) { found, name in
        if !found.contains(name) { found.append(name) }
      }
    }
    let count = names.map(\.count).reduce(1, *)
    let chosen = count == all.count ? all : [setting]
    if count != all.count { names = parts.map { [$0.name(setting)] } }
    let places = { (s: CouplingSetting) in
      zip(parts, names).map { part, names in names.firstIndex(of: part.name(s)) ?? 0 }
    }
    let start = places(setting)
    return (
      parts.indices.map { .init(label: parts[$0].label, options: names[$0], start: start[$0]) },
      chosen.reduce(into: [:]) { $0[places($1)] = $1 }
    )
  }
}

/// `3 ␣France`, or `3` if there is no text for the token.
func tokenLabel(_ t: Int, _ tokens: [String?]?) -> String {
  "\(t)" + (TokenText.at(t, of: tokens).map { " " + plainText($0, limit: 24) } ?? "")
}
