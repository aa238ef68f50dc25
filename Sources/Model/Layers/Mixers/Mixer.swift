import Autodiff
import LinearAlgebra

/// The part of a block in which tokens see each other: an attention, a recurrence or a convolution.
///
/// It reads the stream after the norm, if any; the sum with the stream belongs to the block. Its output at the target
/// tokens is a function of the source tokens; everything else is held as the context has it.
public protocol Mixer: Sendable {
  /// The number of heads of an attention; 0 for other mixers.
  var heads: Int { get }
  /// The mixer's output (targets, width).
  func callAsFunction<S: RealScalar>(
    _ h: ResidualStream<S>, in context: AttentionContext<S>
  ) -> Variable<S>
  /// The part of the mixer that one member of a team computes; the outputs of all parts sum to the mixer's. nil if the
  /// mixer cannot be divided.
  func part(_ slice: Slice) -> (any Mixer)?
}

extension Mixer {
  /// 0, for mixers other than attention.
  public var heads: Int { 0 }
  /// nil, since only attention can be divided.
  public func part(_ slice: Slice) -> (any Mixer)? { nil }
}

/// The part of a block that acts token by token: an MLP or a mixture of experts. Norms and the sum with the stream
/// belong to the block.
public protocol FeedForward: Sendable {
  /// The output for every row of x.
  func callAsFunction<S: RealScalar>(_ x: Variable<S>) -> Variable<S>
  /// The tensors of which every token uses only a part; nil if there are none.
  var chosenTensors: ChosenTensors? { get }
  /// The part that one member of a team computes; the outputs of all parts sum to the whole's. nil if it cannot be
  /// divided.
  func part(_ slice: Slice) -> (any FeedForward)?
}

extension FeedForward {
  /// nil, unless a type knows how to divide itself.
  public func part(_ slice: Slice) -> (any FeedForward)? { nil }
  /// nil, since most have no experts.
  public var chosenTensors: ChosenTensors? { nil }
}

/// Several mixers in parallel, Σ b · mixer(a · h), each with its own factors.
public struct MixerSum: Mixer {
  /// A mixer with factors of its input and output.
  public struct Part: Sendable {
    /// The mixer.
    public var mixer: any Mixer
    /// The factor a of the input.
    public var input: Double
    /// The factor b of the output.
    public var output: Double

    /// Creates a part from its properties.
    public init(mixer: any Mixer, input: Double = 1, output: Double = 1) {
      (self.mixer, self.input, self.output) = (mixer, input, output)
    }
  }

  /// The parts, at least one.
  public var parts: [Part]

  /// Creates a sum of mixers.
  public init(parts: [Part]) { self.parts = parts }

  /// The number of heads of the attention among them.
  public var heads: Int { parts.map(\.mixer.heads).max() ?? 0 }

  /// The sum of the mixers' outputs.
  public func callAsFunction<S: RealScalar>(
    _ h: ResidualStream<S>, in context: AttentionContext<S>
  ) -> Variable<S> {
    let all = parts.map { part in
      let input = part.input == 1 ? h : h.map { S(part.input) * $0 }
      var output = part.mixer(input, in: context)
      // The tangents of one head pass through the attention only.
      if output.rules.head != nil && part.mixer.heads == 0 { output = output.detached }
      return part.output == 1 ? output : S(part.output) * output
    }
    return all.dropFirst().reduce(all[0], +)
  }
}
