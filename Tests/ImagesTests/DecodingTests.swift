import Foundation
import Images
import LinearAlgebra
import TestSupport
import Testing

/// An image as make_fixtures.py wrote it: width, height and the RGB bytes.
struct StoredImage: Decodable {
  let width, height: Int
  let pixels: Data

  var image: RGBImage { RGBImage(width: width, height: height, pixels: Array(pixels)) }
}

enum Fixture {
  static func bytes(_ name: String) throws -> [UInt8] {
    let path = ModelFixture.path("ImagesTests/Fixtures/\(name)")
    return Array(try Data(contentsOf: URL(fileURLWithPath: path)))
  }

  static func decoded<T: Decodable>(_ name: String) throws -> T {
    try JSONDecoder().decode(T.self, from: Data(try bytes(name)))
  }
}

extension RGBImage {
  init(decoding bytes: [UInt8], byteLimit: Int = Self.byteLimit) throws {
    self = try bytes.withUnsafeBytes {
      try RGBImage(decoding: $0, file: "image", byteLimit: byteLimit)
    }
  }

  /// The largest difference between corresponding bytes; nil if the sizes differ.
  func distance(to other: RGBImage) -> Int? {
    guard width == other.width && height == other.height else { return nil }
    return zip(pixels, other.pixels).map { abs(Int($0) - Int($1)) }.max()
  }
}

/// Files of every kind, compared with Pillow's `convert("RGB")` after turning upright.
struct DecodingTests {
  /// PNG determines every byte. JPEG decoders may round a transform differently, so bytes may differ by 1.
  @Test func pillow() throws {
    let expected: [String: StoredImage] = try Fixture.decoded("decoded.json")
    #expect(expected.count == 47)
    for (name, stored) in expected {
      let distance = try RGBImage(decoding: Fixture.bytes(name)).distance(to: stored.image)
      let allowed = name.hasSuffix(".png") ? 0 : 1
      #expect(distance.map { $0 <= allowed } == true, "\(name): \(distance ?? -1)")
    }
  }
}

/// Damaged and hostile files are errors that name the file, whatever their bytes.
struct HostileImageTests {
  private static let names = [
    "rgb-8.png", "rgb-16-interlaced.png", "palette-4.png", "grey-1.png", "turned.png",
    "rgb-420.jpg", "progressive.jpg", "restarts.jpg", "cmyk.jpg", "orientation-6.jpg",
  ]

  @Test(arguments: names) func truncated(_ name: String) throws {
    let bytes = try Fixture.bytes(name)
    for count in 0..<bytes.count {
      #expect(throws: ImageError.self, "\(count) bytes of \(name)") {
        try RGBImage(decoding: Array(bytes[..<count]))
      }
    }
  }

  /// A changed file is an error or an image with the number of bytes that its size implies.
  @Test(arguments: names) func mutated(_ name: String) throws {
    let bytes = try Fixture.bytes(name)
    var random = SeededGenerator(seed: UInt64(bytes.count))
    for _ in 0..<2000 {
      var changed = bytes
      let seed = random.next()
      for shift in [0, 16, 32].prefix(Int(seed >> 62) % 3 + 1) {
        changed[Int(seed >> shift & 0xFFFF) % bytes.count] = UInt8(truncatingIfNeeded: seed >> 48)
      }
      do {
        let image = try RGBImage(decoding: changed, byteLimit: 1 << 20)
        #expect(image.pixels.count == 3 * image.width * image.height)
      } catch let error as ImageError {
        #expect("\(error)".hasPrefix("image: "))
      }
    }
  }

  /// A header with huge sides is refused before anything is allocated.
  @Test(arguments: [
    (30_000, 30_000), (2_000_000_000, 2_000_000_000), (1, 1_000_001), (1_000_001, 1),
  ])
  func huge(_ width: Int, _ height: Int) throws {
    var bytes = try Fixture.bytes("rgb-8.png")
    for i in 0..<4 {
      bytes[16 + i] = UInt8(truncatingIfNeeded: width >> (24 - 8 * i))
      bytes[20 + i] = UInt8(truncatingIfNeeded: height >> (24 - 8 * i))
    }
    let sum = Self.checkSum(bytes[12..<29])
    for i in 0..<4 { bytes[29 + i] = UInt8(truncatingIfNeeded: sum >> (24 - 8 * UInt32(i))) }
    #expect(
      throws: ImageError.tooLarge(
        file: "image", width: width, height: height, byteLimit: RGBImage.byteLimit)
    ) { try RGBImage(decoding: bytes) }
  }

  @Test func hugeJPEG() throws {
    var bytes = try Fixture.bytes("rgb-420.jpg")
    // After FF C0, the length and the precision come height and width.
    let header = try #require(
      bytes.indices.dropLast().first { bytes[$0] == 0xFF && bytes[$0 + 1] == 0xC0 })
    bytes.replaceSubrange(header + 5..<header + 9, with: [0xFF, 0x00, 0xFF, 0x00])
    #expect(
      throws: ImageError.tooLarge(
        file: "image", width: 0xFF00, height: 0xFF00, byteLimit: RGBImage.byteLimit)
    ) { try RGBImage(decoding: bytes) }
    // Within the limit, but the file has too few pixels.
    bytes.replaceSubrange(header + 5..<header + 9, with: [0x10, 0x00, 0x10, 0x00])
    #expect(throws: ImageError.self) { try RGBImage(decoding: bytes) }
  }

  /// Repeating a progressive file's first scan, which does not depend on others, changes nothing up to the limit on scans.
  @Test func scans() throws {
    let bytes = try Fixture.bytes("progressive.jpg")
    func marker(_ kind: UInt8, from start: Int) throws -> Int {
      try #require((start..<bytes.count - 1).first { bytes[$0] == 0xFF && bytes[$0 + 1] == kind })
    }
    let scan = try marker(0xDA, from: 0)
    let end = try marker(0xC4, from: scan)
    func image(_ count: Int) throws -> RGBImage {
      let repeated = (0..<count).flatMap { _ in bytes[scan..<end] }
      return try RGBImage(decoding: bytes[..<scan] + repeated + bytes[end...])
    }
    #expect(try image(80) == image(1))
    let error = #expect(throws: ImageError.self) { try image(200) }
    #expect(error.map { "\($0)".contains("too many scans") } == true, "\(error as Any)")
  }

  @Test func otherFormats() throws {
    for bytes in [[], [0x89], Array("GIF89a".utf8), Array("\u{89}PNG\n".utf8), [0xFF, 0xD8]] {
      #expect(throws: ImageError.unknownFormat(file: "image")) {
        try RGBImage(decoding: bytes)
      }
    }
  }

  /// The CRC-32 of PNG.
  private static func checkSum(_ bytes: some Sequence<UInt8>) -> UInt32 {
    ~bytes.reduce(~UInt32(0)) { sum, byte in
      (0..<8).reduce(sum ^ UInt32(byte)) { sum, _ in sum >> 1 ^ (sum & 1 == 1 ? 0xEDB8_8320 : 0) }
    }
  }
}
