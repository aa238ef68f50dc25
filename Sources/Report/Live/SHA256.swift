import Foundation

/// The hash by which the content security policy of a page identifies the only script that may run.
///
/// FIPS 180-4, "Secure Hash Standard", 2015.
enum SHA256 {
  /// The hash in Base64, as a content security policy requires.
  static func base64(_ text: String) -> String {
    Data(hash(Array(text.utf8))).base64EncodedString()
  }

  /// The hash as 32 bytes.
  static func hash(_ message: [UInt8]) -> [UInt8] {
    var h: [UInt32] = [2, 3, 5, 7, 11, 13, 17, 19].map { fraction(Double($0).squareRoot()) }
    let k = firstPrimes.map { fraction(cbrt(Double($0))) }
    var bytes = message + [0x80]
    bytes += [UInt8](repeating: 0, count: (120 - bytes.count % 64) % 64)
    bytes += (0..<8).map { UInt8(truncatingIfNeeded: (8 * message.count) >> (56 - 8 * $0)) }
    for chunk in stride(from: 0, to: bytes.count, by: 64) {
      var w = (0..<16).map { i in
        (0..<4).reduce(UInt32(0)) { $0 << 8 | UInt32(bytes[chunk + 4 * i + $1]) }
      }
      for i in 16..<64 {
        let s0 = turned(w[i - 15], 7) ^ turned(w[i - 15], 18) ^ (w[i - 15] >> 3)
        let s1 = turned(w[i - 2], 17) ^ turned(w[i - 2], 19) ^ (w[i - 2] >> 10)
        w.append(w[i - 16] &+ s0 &+ w[i - 7] &+ s1)
      }
      var v = h
      for i in 0..<64 {
        let s1 = turned(v[4], 6) ^ turned(v[4], 11) ^ turned(v[4], 25)
        let choice = (v[4] & v[5]) ^ (~v[4] & v[6])
        let t1 = v[7] &+ s1 &+ choice &+ k[i] &+ w[i]
        let s0 = turned(v[0], 2) ^ turned(v[0], 13) ^ turned(v[0], 22)
        let majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2])
        v = [t1 &+ s0 &+ majority, v[0], v[1], v[2], v[3] &+ t1, v[4], v[5], v[6]]
      }
      h = zip(h, v).map { $0 &+ $1 }
    }
    return h.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (24 - 8 * $0)) } }
  }

  private static let firstPrimes = (2...311).filter { n in
    !(2..<n).contains { $0 * $0 <= n && n % $0 == 0 }
  }

  /// The first 32 bits of the fractional part. A Double has 53 significant bits, of which the integer part takes at most 5.
  private static func fraction(_ x: Double) -> UInt32 { UInt32((x - floor(x)) * 0x1p32) }

  private static func turned(_ x: UInt32, _ bits: UInt32) -> UInt32 { x >> bits | x << (32 - bits) }
}
