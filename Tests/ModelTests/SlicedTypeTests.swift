import Autodiff
import Checkpoint
import LinearAlgebra
import Processes
import TestSupport
import Testing
import Weights

@testable import Model

/// Blocks whose weights are stored in blocks of several numbers: slices begin and end there.
@Suite struct SlicedTypeTests {
  /// A stored matrix of random codes with ordinary scales.
  private static func matrix(
    _ type: ElementType, rows: Int, columns: Int, _ random: inout SeededGenerator
  ) -> StoredMatrix {
    let count = rows * columns / type.blockLength
    let bytes = Bytes(count * type.blockBytes)
    for k in 0..<count {
      let block = bytes.base + k * type.blockBytes
      for i in 0..<type.blockBytes {
        block.storeBytes(
          of: UInt8(truncatingIfNeeded: random.next()), toByteOffset: i, as: UInt8.self)
      }
      // The scales, halves of about 2⁻⁹; Q6_K has its one at the end, the others at the start.
      let small = UInt16(0x1800)
      switch type {
      case .q6_K: block.storeBytes(of: small, toByteOffset: 208, as: UInt16.self)
      case .q4_K, .q4_1:
        block.storeBytes(of: small, as: UInt16.self)
        block.storeBytes(of: small, toByteOffset: 2, as: UInt16.self)
      default: block.storeBytes(of: small, as: UInt16.self)
      }
    }
    return StoredMatrix(
      base: bytes.base, elementType: type, rows: rows, columns: columns, owner: bytes)
  }

  private final class Bytes {
    let base: UnsafeMutableRawPointer
    init(_ count: Int) { base = .allocate(byteCount: count, alignment: 1) }
    deinit { base.deallocate() }
  }

  /// A block with 8 heads of 64 in groups of 2 and 768 hidden units: in types of 256 numbers there are 2 units of heads and 3
  /// of hidden units, so that some of 4 members have none.
  private static func block(_ type: ElementType) -> DecoderBlock {
    var random = SeededGenerator(seed: 11)
    let width = 256
    let linear = { (outputs: Int, inputs: Int, bias: Bool) in
      LinearWeights(
        weights: matrix(type, rows: outputs, columns: inputs, &random),
        bias: bias ? (0..<outputs).map { Float($0 % 7) / 10 } : nil)
    }
    let attention = AttentionWeights(
      heads: 8, keyValueHeads: 4, headDimension: 64,
      projection: .separate(
        query: linear(512, width, true), key: linear(256, width, true),
        value: linear(256, width, false)),
      output: linear(width, 512, true), sinks: (0..<8).map { Float($0) / 4 })
    let norm = RMSNormWeights(gain: Array(repeating: 1, count: width), epsilon: 1e-6)
    return DecoderBlock(
      mixerNorm: norm, mixer: attention, feedForwardNorm: norm,
      feedForward: MLPWeights(
        gate: linear(768, width, false), up: linear(768, width, true),
        down: linear(width, 768, true), activation: .silu))
  }

  /// f(X), J v and Jᵀ u of a whole sequence's last token.
  private static func results<S: RealScalar>(
    _ block: DecoderBlock, _ precision: S.Type
  ) -> [Matrix<S>] {
    var random = SeededGenerator(seed: 12)
    let x = random.normalMatrix(rows: 5, columns: 256).converted(to: S.self)
    let context = AttentionContext<S>(prompts: [0..<5])
    let f = block.update(ResidualStream(Variable(x)), in: context).value
    let last = AttentionContext<S>([
      RowGroup(sources: [4], targets: [4], tokens: 5, caches: context.caches[0])
    ])
    let jacobian = linearize(
      { block.update(ResidualStream($0), in: last) }, at: x.rows(4..<5))
    let v = random.normalMatrix(rows: 1, columns: 256).converted(to: S.self)
    return [f, jacobian.value, jacobian.jvp(v), jacobian.vjp(v)]
  }

  /// Sums of at most 768 terms of both signs in another order, through a chain of ten steps.
  @Test(arguments: [ElementType.q4_0, .q4_1, .q8_0, .q4_K, .q6_K], [2, 3, 4])
  func equalsTheWhole(type: ElementType, members: Int) throws {
    try compare(Self.block(type), members, Float.self, tolerance: 1e-5)
    try compare(Self.block(type), members, Double.self, tolerance: 1e-13)
  }

  private func compare<S: RealScalar & Sendable>(
    _ block: DecoderBlock, _ members: Int, _ precision: S.Type, tolerance: Double
  ) throws {
    let whole = Self.results(block, S.self)
    let all = try ThreadTeam.run(members) { team in
      let slice = Slice(member: team.rank, of: team.size)
      return Self.results(try #require(block.part(slice, of: team)), S.self)
    }
    for part in all {
      for (a, b) in zip(part, whole) { expectClose(a.elements, b.elements, tolerance) }
      #expect(zip(part, all[0]).allSatisfy { $0.elements == $1.elements })
    }
  }

  /// Heads of 64 in blocks of 256 numbers go by four, hidden units by 256; key-value heads follow.
  @Test func boundaries() throws {
    let block = Self.block(.q4_K)
    var heads: [Int] = []
    for member in 0..<4 {
      let part = try #require(block.mixer?.part(Slice(member: member, of: 4)))
      let attention = part as? AttentionWeights
      heads.append(part.heads)
      #expect(attention?.keyValueHeads ?? 0 == part.heads / 2)
    }
    #expect(heads.sorted() == [0, 0, 4, 4])
  }
}
