/// The bytes of a text in base 64, `nil` if it is not in it: RFC 4648, section 4, with its padding.
func bytes(base64 text: String) -> [UInt8]? {
  var digits = Array(text.utf8)[...]
  guard digits.count % 4 == 0 else { return nil }
  for _ in 0..<2 where digits.last == UInt8(ascii: "=") { digits.removeLast() }
  var result: [UInt8] = []
  result.reserveCapacity(digits.count / 4 * 3)
  var bits: UInt32 = 0
  var count = 0
  for digit in digits {
    let value: UInt8
    switch digit {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = digit - UInt8(ascii: "A")
    case UInt8(ascii: "a")...UInt8(ascii: "z"): value = digit - UInt8(ascii: "a") + 26
    case UInt8(ascii: "0")...UInt8(ascii: "9"): value = digit - UInt8(ascii: "0") + 52
    case UInt8(ascii: "+"): value = 62
    case UInt8(ascii: "/"): value = 63
    default: return nil
    }
    bits = bits << 6 | UInt32(value)
    count += 6
    if count >= 8 {
      count -= 8
      result.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
    }
  }
  // Two or four bits may be left over, and are zero.
  return count < 6 && bits & (1 << UInt32(count) - 1) == 0 ? result : nil
}
