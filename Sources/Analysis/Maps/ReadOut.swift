import Autodiff
import LinearAlgebra
import Model
import Tokenization

/// The tokens that singular vectors favour and disfavour.
///
/// A vector w of the residual stream is passed through the final norm and the unembedding as if it were the last block's output:
/// score(w) = ½ (ℓ(w′) − ℓ(−w′)), where ℓ is the model's logits of a state, and w′ = w · √d / ‖w‖. The half difference is
/// odd in w: biases of norm and unembedding cancel, while the gain of the norm and, in a LayerNorm, the subtraction of the
/// mean remain. With an RMSNorm of gain g it is W (g ∘ w′). A soft cap keeps the order. An output in logits is its own
/// score, and the difference of two logits has none. With several tokens each token's part is read separately, those of the
/// largest norms only. The common sign of u and v is arbitrary; flipping it swaps favoured and disfavoured tokens.
/// nostalgebraist, "interpreting GPT: the logit lens", 2020; Millidge and Black, "The singular value decompositions of
/// transformer weight matrices are highly interpretable", 2022.
public struct ReadOut: Codable, Sendable, Equatable {
  /// A token and its score.
  public struct Entry: Codable, Sendable, Equatable {
    /// Its id.
    public var id: Int
    /// Its text, if there is a tokenizer that has it.
    @Nullable public var token: String?
    /// Its score.
    public var score: Double
  }

  /// The read-out of one token's part of a vector.
  public struct Part: Codable, Sendable, Equatable {
    /// The token in the prompt, from 0; null if the part belongs to no single token.
    @Nullable public var token: Int?
    /// The norm of the part; that of the whole vector is 1.
    public var norm: Double
    /// The tokens with the largest scores, largest first.
    public var favoured: [Entry]
    /// The tokens with the smallest scores, smallest first.
    public var disfavoured: [Entry]
  }

  /// The parts of each u, the one with the largest norm first.
  public var left: [[Part]]
  /// The parts of each v, likewise.
  public var right: [[Part]]

  /// The most parts of a vector that are read.
  static let mostParts = 8
}

/// Reads vectors out as tokens.
package struct VectorReader {
  /// The space that vectors belong to.
  package enum Space: Sendable {
    /// States between two blocks.
    case states
    /// States after the final norm.
    case normed
    /// Logits.
    case logits
  }

  private let model: any Transformer
  private let tokenizer: Tokenizer?
  /// The number of tokens per list.
  private let count: Int

  /// The number of parts whose logits are computed together.
  private static let batch = 16

  /// Prepares to read vectors out. Throws `RunError.badSetting` if the model predicts no tokens.
  package init(_ loaded: LoadedModel, count: Int) throws(RunError) {
    (model, tokenizer, self.count) = (loaded.model, loaded.tokenizer, count)
    let d = loaded.model.description
    guard count >= 1, d.vocabulary == 0 || count <= d.vocabulary else {
      throw .badSetting(.readOut, value: "\(count)", reason: "must be from 1 to \(d.vocabulary)")
    }
    let model = loaded.model
    guard loaded.engine.use({ model.predictsTokens }) else {
      throw .badSetting(
        .readOut, reason: "the model has no head that predicts tokens; leave it out")
    }
  }

  /// The read-outs of the rows of a matrix, each row holding the parts of these tokens one after another.
  func read(_ vectors: Matrix<Double>, tokens: [Int?], of space: Space) -> [[ReadOut.Part]] {
    let length = vectors.columns / tokens.count
    return (0..<vectors.rows).map { r in
      let row = Array(vectors.row(r))
      let parts = tokens.indices.map { t -> (token: Int, norm: Double) in
        let part = row[t * length..<(t + 1) * length]
        return (t, part.reduce(0) { $0 + $1 * $1 }.squareRoot())
      }
      let chosen = parts.filter { $0.norm > 0 && $0.norm.isFinite }
        .sorted { ($0.norm, $1.token) > ($1.norm, $0.token) }.prefix(ReadOut.mostParts)
      var read: [ReadOut.Part] = []
      var rest = Array(chosen)[...]
      while !rest.isEmpty {
        let batch = rest.prefix(Self.batch)
        rest = rest.dropFirst(Self.batch)
        let scores = scores(
          batch.map { part in
            row[part.token * length..<(part.token + 1) * length].map { $0 / part.norm }
          }, of: space)
        for (part, scores) in zip(batch, scores) {
          read.append(
            ReadOut.Part(
              token: tokens[part.token], norm: part.norm, favoured: extremes(of: scores, sign: 1),
              disfavoured: extremes(of: scores, sign: -1)))
        }
      }
      return read
    }
  }

  /// The scores of some vectors of norm 1.
  private func scores(_ vectors: [[Double]], of space: Space) -> [[Double]] {
    guard space != .logits else { return vectors }
    let scale = Double(vectors[0].count).squareRoot()
    // Each vector and its negative: (2 · vectors, d).
    let rows = vectors.flatMap { v in [scale, -scale].map { s in v.map { Float(s * $0) } } }
    let states = Variable(Matrix(rows))
    guard let logits = Self.logits(of: states, from: space, model) else { return [] }
    return vectors.indices.map { i in
      zip(logits.row(2 * i), logits.row(2 * i + 1)).map { (Double($0) - Double($1)) / 2 }
    }
  }

  private static func logits(
    of x: Variable<Float>, from space: Space, _ model: some Transformer
  ) -> Matrix<Float>? {
    model.logits(space == .normed ? x : model.finalNorm(x))?.value
  }

  /// The ids of the largest scores, or with sign −1 of the smallest; the first among equal ones.
  private func extremes(of scores: [Double], sign: Double) -> [ReadOut.Entry] {
    var best: [(id: Int, score: Double)] = []
    for (id, score) in scores.enumerated() where score.isFinite {
      if best.count == count, sign * score <= sign * best[count - 1].score { continue }
      let place = best.firstIndex { sign * $0.score < sign * score } ?? best.count
      best.insert((id, score), at: place)
      if best.count > count { best.removeLast() }
    }
    return best.map { id, score in
      let text = tokenizer.flatMap { $0.token(id) == nil ? nil : $0.decode([id]) }
      return ReadOut.Entry(id: id, token: text, score: score)
    }
  }
}

/// The layout of a map's singular vectors, needed to read them out.
struct ReadMap: Sendable {
  /// Where the map ends.
  var end: MapEnd
  /// The output tokens, in their order in u; nil for one that is not a single token of the prompt.
  var targets: [Int?]
  /// The input tokens, likewise, in their order in v.
  var sources: [Int?]
  /// Whether u consists of states or logits: the difference of two logits is a single number, which favours no token.
  var hasLeft: Bool
}

extension ReadMap {
  /// The layout for a recorded map.
  init(_ map: MapRecord) {
    let parts = { (tokens: [Int]?, norms: [[Double]]?) -> [Int?] in
      let count = norms?.first?.count ?? 1
      // Tokens that were summed, or that differ between the prompts of an average, are not single tokens.
      return tokens.flatMap { $0.count == count ? $0 : nil } ?? Array(repeating: nil, count: count)
    }
    self.init(
      end: map.toLayer,
      targets: parts(map.reduce == .none ? map.toTokens : nil, map.tokenNorms?.left),
      sources: parts(map.tied ? nil : map.fromTokens, map.tokenNorms?.right),
      hasLeft: map.logits == nil)
  }
}

extension ReadOut {
  /// The read-out of the vectors of a map's triplets.
  init(_ map: ReadMap, left: Matrix<Double>, right: Matrix<Double>, by reader: VectorReader) {
    let space: VectorReader.Space =
      switch map.end {
      case .layer: .states
      case .final: .normed
      case .logits: .logits
      }
    self.init(
      left: map.hasLeft ? reader.read(left, tokens: map.targets, of: space) : [],
      right: reader.read(right, tokens: map.sources, of: .states))
  }
}
