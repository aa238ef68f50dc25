import Autodiff
import LinearAlgebra

/// What lets the tokens of a block see each other: attention is one, a recurrence or a convolution another.
///
/// It reads the stream after whatever norm comes first; the sum with the stream is the block's. At the target tokens it
/// answers a function of the source tokens, everything else held as the context has it.
public protocol Mixer: Sendable {
  /// Heads of an attention; 0 in other mixers.
  var heads: Int { get }
  /// The mixer's output (targets, width).
  func callAsFunction<S: RealScalar>(
    _ h: ResidualStream<S>, in context: AttentionContext<S>
  ) -> Variable<S>
}

extension Mixer {
  /// Other mixers have none.
  public var heads: Int { 0 }
}

/// What a block does token by token: an MLP, a mixture of experts. Norms and the sum with the stream are the block's.
public protocol FeedForward: Sendable {
  /// The output for every row.
  func callAsFunction<S: RealScalar>(_ x: Variable<S>) -> Variable<S>
  /// The tensors of which every token chooses a part, if there are any.
  var chosenTensors: ChosenTensors? { get }
}

extension FeedForward {
  /// Most have none.
  public var chosenTensors: ChosenTensors? { nil }
}

/// Mixers side by side, Σ b · mixer(a · h) with factors of their own.
public struct MixerSum: Mixer {
  /// A mixer with factors of what goes in and what comes out.
  public struct Part: Sendable {
    /// What is scaled.
    public var mixer: any Mixer
    /// a.
    public var input: Double
    /// b.
    public var output: Double

    /// A part; its arguments are its properties.
    public init(mixer: any Mixer, input: Double = 1, output: Double = 1) {
      (self.mixer, self.input, self.output) = (mixer, input, output)
    }
  }

  /// At least one.
  public var parts: [Part]

  /// A sum.
  public init(parts: [Part]) { self.parts = parts }

  /// Those of the attention among them.
  public var heads: Int { parts.map(\.mixer.heads).max() ?? 0 }

  /// The sum of the mixers' outputs.
  public func callAsFunction<S: RealScalar>(
    _ h: ResidualStream<S>, in context: AttentionContext<S>
  ) -> Variable<S> {
    let all = parts.map { part in
      let input = part.input == 1 ? h : h.map { S(part.input) * $0 }
      var output = part.mixer(input, in: context)
      // One head's tangents pass through the attention alone.
      if output.rules.head != nil && part.mixer.heads == 0 { output = output.detached }
      return part.output == 1 ? output : S(part.output) * output
    }
    return all.dropFirst().reduce(all[0], +)
  }
}
