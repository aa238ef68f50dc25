import Alignment
import Checkpoint
import Foundation
import LinearAlgebra
import TestSupport

@testable import Analysis

/// A run made by hand, of random numbers: whatever of it is changed, the rest still fits.
struct SampleRun {
  var name = "sample"
  var layers = 4
  var prompts = 3
  var tokens = 5
  var rank = 3
  var kind = CouplingKind.depth
  var isRandom = false
  var step: Int?
  var isComplete = true
  var hasPicture = true
  /// Whether there is a picture without the first token, which earlier versions did not record.
  var hasOthersPicture = true
  /// Prompts that have no results, from 0.
  var failed: Set<Int> = []
  var hasBlocks = true
  /// Whether the texts of the tokens are there, which earlier versions did not record.
  var hasTexts = true
  var text = "a prompt"
  var seed: UInt64 = 0

  /// Writes it to a folder, as `krylens align` does, and reads it again.
  func stored(in scratch: ScratchFolder, as name: String = UUID().uuidString) throws -> StoredRun {
    try FileManager.default.createDirectory(
      atPath: scratch[name], withIntermediateDirectories: true)
    try scratch.write(try record.json(), to: "\(name)/result.json")
    if hasBlocks, kind == .depth {
      var random = SeededGenerator(seed: seed)
      let shape = [layers, layers, rank, rank]
      let numbers = (0..<shape.reduce(1, *)).map { _ in Float(random.normal()) }
      try SafetensorsWriter.write(
        [(SafetensorsWriter.Entry(name: "p\(firstWithResults).A", shape: shape), numbers)],
        to: scratch["\(name)/couplings.safetensors"])
    }
    return try StoredRun(scratch[name])
  }

  var record: RunRecord {
    var random = SeededGenerator(seed: seed)
    var settings = RunSettings(model: name, name: name, threads: 1)
    (settings.top, settings.ranks, settings.kind) = (rank, [rank], kind)
    settings.randomInit = isRandom
    let found = (0..<prompts).map { failed.contains($0) ? failure($0) : prompt($0, &random) }
    return RunRecord(
      krylens: krylensVersion, complete: isComplete,
      model: ModelRecord(
        name: name, source: name, family: "llama", modelType: "llama", layers: layers, width: 8,
        parameters: 1234, storedTypes: ["F32"], fingerprint: "\(name) \(seed)", trainingStep: step),
      settings: settings, prompts: found,
      statistics: StudyStatistics(found, diagonal: .excluded),
      seconds: .init(total: 1, load: 0, solve: 0.5, coupling: 0.5), peakMemoryBytes: 1,
      peakPrivateBytes: 1)
  }

  private var firstWithResults: Int { (0..<max(prompts, 1)).first { !failed.contains($0) } ?? 0 }

  /// Of every prompt others: equal prompts count once.
  private func ids(_ p: Int) -> [Int] { (0..<tokens).map { $0 + 100 * p } }

  private func failure(_ p: Int) -> PromptRecord {
    PromptRecord(
      text: text, tokenIds: ids(p), layers: [], coupling: [], overlap: [],
      trajectory: TrajectoryRecord(
        norms: [], lineShapeScore: [], zeroSteps: [], growth: [], expodistance: []),
      failed: PromptFailure(
        number: p + 1, text: text, layer: 2, token: 1, tensor: nil, reason: "the state overflowed"))
  }

  private func prompt(_ p: Int, _ random: inout SeededGenerator) -> PromptRecord {
    let values = (0..<layers).map { _ in (0..<rank).map { _ in 1 + random.uniform() }.sorted(by: >)
    }
    let norms = (0...layers).map { l in (0..<tokens).map { _ in exp(Double(l)) + random.uniform() }
    }
    let perToken = (0..<tokens).map { _ in 1 + random.uniform() as Double? }
    let pictures = [(tokens, 0.5), (tokens - 1, 0.375)].map { tokens, share in
      PictureRecord(
        points: (0..<tokens).map { _ in
          (0...layers).map { _ in [random.normal(), random.normal()] }
        }, explainedVariance: [share, share / 2])
    }
    return PromptRecord(
      text: text, image: nil, tokenIds: ids(p),
      tokens: hasTexts ? (0..<tokens).map { _ in text } : nil, encoderTokenIds: nil,
      nextTokenId: 1,
      nextToken: text,
      layers: values.enumerated().map { l, s in
        LayerRecord(
          layer: l + 1, fromToken: tokens - 1, toToken: tokens - 1, singularValues: s,
          residualNorms: s.map { _ in 0 }, converged: true, remedy: nil, relativeGaps: nil,
          frobeniusNorm: FrobeniusNorm(allSingularValues: s), solver: "dense",
          applications: .init(jvp: 1, vjp: 1), passes: 1, seconds: 0)
      },
      coupling: tables(values, &random), overlap: [],
      trajectory: TrajectoryRecord(
        norms: norms, lineShapeScore: perToken, zeroSteps: perToken.map { _ in 0 },
        growth: perToken, expodistance: perToken, linearisedPathCosine: nil,
        picture: hasPicture ? pictures[0] : nil,
        pictureWithoutFirst: hasPicture && hasOthersPicture && tokens > 1 ? pictures[1] : nil),
      inverseLeadingFit: layers < 3
        ? nil : InverseLeadingFit(start: 1, slope: 0.01, intercept: 0.5, rSquared: 0.5))
  }

  private func tables(
    _ values: [[Double]], _ random: inout SeededGenerator
  ) -> [CouplingMatrix] {
    let setting = CouplingSetting(rank: rank)
    func table(_ count: Int, _ values: (Int) -> [Double], _ place: CouplingPlace) -> CouplingMatrix
    {
      let couplings = (0..<count).map { i in
        (0..<count).map { _ in
          BlockCoupling(
            form: .same, matrix: random.normalMatrix(rows: rank, columns: rank),
            singularValues: values(i))
        }
      }
      let names = Array(kind == .depth ? 1...count : 0...count - 1)
      let nulls = (0..<count).map {
        NullLevel(frobeniusNorm: FrobeniusNorm(allSingularValues: values($0)), width: 8)
      }
      return CouplingMatrix(
        kind: kind, setting: setting, rows: names, columns: names, couplings: couplings,
        nulls: nulls, place: place)
    }
    return kind == .depth
      ? [table(layers, { values[$0] }, CouplingPlace(fromToken: tokens - 1, toToken: tokens - 1))]
      : values.enumerated().map { l, s in
        table(tokens, { _ in s }, CouplingPlace(layer: l + 1, basisLayer: l + 1))
      }
  }
}

/// Texts that mean something to a shell, to gnuplot, to HTML or to a terminal.
let hostileTexts = [
  "`touch pwned`", "$(touch pwned)", "'; system('touch pwned') #", "\"; !touch pwned",
  "<script>alert(1)</script>", "</title><img src=x onerror=alert(1)>", "&lt;b&gt; &amp; &#60;",
  "%s%n%d%%", "@macro a_b^c {/Bold x} \\n\\033[0m \\x1b", "line\nbreak\ttab\u{7}\u{1B}[2J\0",
  "\u{202E}desrever \u{2066}isolate", "שלום עולם مرحبا", "\u{FEFF}", "", " ", "\"", "\\", "'", "#",
  String(repeating: "long ", count: 2000), "e" + String(repeating: "\u{301}", count: 10_000),
  "../../etc/passwd", "a]]>b", "NaN", "1e5", "😀 👩‍👩‍👧",
]
