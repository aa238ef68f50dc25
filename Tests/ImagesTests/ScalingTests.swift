import Foundation
import Images
import Testing

struct ScalingTests {
  private struct Scaled: Decodable {
    let resample, width, height: Int
    let pixels: Data
  }

  /// The bytes equal those of Pillow's `resize`: larger and smaller, in one direction only, down to one pixel.
  @Test func pillow() throws {
    let image = try RGBImage(decoding: Fixture.bytes("rgb-8.png"))
    let cases: [Scaled] = try Fixture.decoded("scaled.json")
    #expect(Set(cases.map(\.resample)) == Set(Resampling.allCases.map(\.rawValue)))
    for scaled in cases {
      let resampling = try #require(Resampling(rawValue: scaled.resample))
      let found = image.resized(width: scaled.width, height: scaled.height, resampling)
      let name = "\(resampling) to \(scaled.width) × \(scaled.height)"
      let expected = RGBImage(
        width: scaled.width, height: scaled.height, pixels: Array(scaled.pixels))
      #expect(found.distance(to: expected) == 0, "\(name)")
    }
  }

  /// An image of one colour keeps it: the weights of every pixel add up to 1.
  @Test(arguments: Resampling.allCases) func constant(_ resampling: Resampling) {
    let colour: [UInt8] = [255, 3, 128]
    let image = RGBImage(
      width: 31, height: 7, pixels: (0..<31 * 7).flatMap { _ in colour })
    for side in [1, 2, 6, 7, 8, 31, 100] {
      let found = image.resized(width: side, height: side, resampling)
      #expect(found.pixels == (0..<side * side).flatMap { _ in colour })
    }
  }

  /// A crop is centred, and black outside the image.
  @Test func crop() {
    let image = RGBImage(width: 3, height: 2, pixels: (1...18).map { UInt8($0) })
    #expect(image.cropped(width: 3, height: 2) == image)
    #expect(image.cropped(width: 1, height: 1).pixels == [4, 5, 6])
    let larger = image.cropped(width: 6, height: 3)
    #expect(larger.pixels[..<18].allSatisfy { $0 == 0 })
    #expect(Array(larger.pixels[18..<36]) == [0, 0, 0, 0, 0, 0] + (1...9) + [0, 0, 0])
  }

  @Test func bound() {
    let image = RGBImage(width: 1000, height: 100, pixels: .init(repeating: 0, count: 300_000))
    #expect(image.bytesToResize(width: 10, height: 2) == 3000)
    #expect(image.bytesToResize(width: 1000, height: 2) == 6000)
    #expect(image.bytesToResize(width: 10, height: 2000) == 60_000)
    #expect(image.bytesToResize(width: .max / 2, height: 2000) == nil)
  }
}
