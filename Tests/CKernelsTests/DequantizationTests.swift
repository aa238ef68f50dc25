import Weights
import CKernels
import LinearAlgebra
import Testing

extension KernelTests {
  @Suite struct Dequantization {
    @Test(
      "every block widens to the reference's bits", arguments: ElementType.allCases.filter(\.isGGUF)
    )
    func equalsReference(type: ElementType) throws {
      let stored = try Fixture.bytes("\(type.name).blocks")
      let expected = try Fixture.floats("\(type.name).floats")
      #expect(stored.count / type.blockBytes * type.blockLength == expected.count)
      let blocks = stored.count / type.blockBytes
      KernelTests.withEachInstructionSet { set in
        // Some types take eight blocks together.
        for (offset, blocks) in [(0, blocks), (1, blocks), (0, 1), (1, 7), (0, 8), (1, 11)]
        where blocks <= stored.count / type.blockBytes {
          let shifted = [UInt8](repeating: 0, count: offset) + stored
          let count = blocks * type.blockLength
          var widened = [Float](repeating: -1, count: expected.count)
          shifted.withUnsafeBytes {
            ck_dequantize(
              Engine.current, type.rawValue, $0.baseAddress! + offset, &widened, Int64(count))
          }
          // The bits of a NaN do not matter; hardware may quiet a signalling one.
          let differing = widened[..<count].indices.filter {
            widened[$0].bitPattern != expected[$0].bitPattern
              && !(widened[$0].isNaN && expected[$0].isNaN)
          }
          #expect(differing.isEmpty, "instruction set \(set), \(blocks) blocks")
          #expect(widened[count...].allSatisfy { $0 == -1 }, "\(blocks) blocks")
        }
      }
    }

    @Test func unknownTypesHaveNoBlocks() {
      for type: Int32 in [-1, 4, 5, 9, 15, 24, 31, 33, 36, 40, .max, .min] {
        #expect(ck_block_length(type) == 0)
        #expect(ck_block_bytes(type) == 0)
      }
    }
  }
}
