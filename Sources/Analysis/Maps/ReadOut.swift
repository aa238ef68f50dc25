import Autodiff
import LinearAlgebra
import Model
import Tokenization

/// Singular vectors as tokens that they favour and disfavour.
///
/// A vector w of the residual stream is put through the final norm and the unembedding as if it were the state at the end:
/// score(w) = ½ (ℓ(w′) − ℓ(−w′)), where ℓ is the model's logits of a state, and w′ = w · √d / ‖w‖. The half difference is
/// odd in w: biases of norm and unembedding cancel, and the gain of the norm and, in a LayerNorm, the subtraction of the
/// mean stay. With an RMSNorm of gain g it is W (g ∘ w′). A soft cap keeps the order. An output that is logits already is
/// its own score, and the difference of two logits has none. Of several tokens each part is read by itself, those of the
/// largest norms. u and v have a common sign that is arbitrary: turned round, what is favoured and what is not change places.
/// nostalgebraist, "interpreting GPT: the logit lens", 2020; Millidge and Black, "The singular value decompositions of
/// transformer weight matrices are highly interpretable", 2022.
public struct ReadOut: Codable, Sendable, Equatable {
  /// A token, and how much a vector favours it.
  public struct Entry: Codable, Sendable, Equatable {
    /// Its id.
    public var id: Int
    /// Its text, if there is a tokenizer that has it.
    @Nullable public var token: String?
    /// Its score.
    public var score: Double
  }

  /// What one token's part of a vector says.
  public struct Part: Codable, Sendable, Equatable {
    /// The token in the prompt, from 0; null where the part belongs to no single one.
    @Nullable public var token: Int?
    /// The norm of the part; that of the whole vector is 1.
    public var norm: Double
    /// Those of the largest scores, largest first.
    public var favoured: [Entry]
    /// Those of the smallest scores, smallest first.
    public var disfavoured: [Entry]
  }

  /// Of every u its parts, the one of the largest norm first.
  public var left: [[Part]]
  /// Of every v, likewise.
  public var right: [[Part]]

  /// Parts of a vector that are read at most.
  static let mostParts = 8
}

/// Reads vectors out as tokens.
package struct VectorReader {
  /// What the vectors are vectors of.
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
  /// Tokens of each list.
  private let count: Int

  /// Parts whose logits are computed together.
  private static let batch = 16

  /// Throws `RunError.badSetting` where the model predicts no tokens.
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

  /// What the rows of a matrix say, each of the parts of these tokens one after another.
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
    // Each as it is and turned round: (2 · vectors, d).
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

  /// The ids of the largest scores, or with sign −1 of the smallest; among equal ones the first.
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

/// What the rows of a map's singular vectors are, for reading them out.
struct ReadMap: Sendable {
  /// Where it ends.
  var end: MapEnd
  /// The output tokens, one after another in u; nil for one that is no single token of the prompt.
  var targets: [Int?]
  /// Likewise the input tokens in v.
  var sources: [Int?]
  /// Whether u is made of states or logits: the difference of two logits is one number, which favours no other token.
  var hasLeft: Bool
}

extension ReadMap {
  /// Of a recorded map.
  init(_ map: MapRecord) {
    let parts = { (tokens: [Int]?, norms: [[Double]]?) -> [Int?] in
      let count = norms?.first?.count ?? 1
      // Tokens that were summed, or that differ between the prompts of an average, are no single ones.
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
  /// Of the vectors of a map's triplets.
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
