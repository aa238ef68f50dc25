/// How the camera was held, by EXIF tag 0x0112: which corner of the scene the first pixel of the file shows.
///
/// CIPA DC-008, *Exchangeable image file format for digital still cameras: Exif*, 4.6.4.
enum Orientation: Int {
  case upright = 1
  case mirrored, upsideDown, flipped, transposed, turnedLeft, transversed, turnedRight

  /// The orientation that the file states; upright if it states none that can be read, as is usual for image readers.
  init(of bytes: UnsafeRawBufferPointer, _ format: ImageFormat) {
    let exif = format == .png ? Self.exif(ofPNG: bytes) : Self.exif(ofJPEG: bytes)
    self = exif.flatMap { Self.value(in: $0) }.flatMap(Self.init) ?? .upright
  }

  /// Whether width and height are swapped.
  var isTransposing: Bool { rawValue >= 5 }
  /// Whether the columns of the upright image run opposite to those of the file, or, if `isTransposing`, to its rows.
  var reversesColumns: Bool { [.mirrored, .upsideDown, .turnedLeft, .transversed].contains(self) }
  /// Whether the rows of the upright image run opposite to those of the file, or, if `isTransposing`, to its columns.
  var reversesRows: Bool { [.upsideDown, .flipped, .transversed, .turnedRight].contains(self) }

  /// The contents of the eXIf chunk. A chunk is its length, four letters, its bytes and a checksum.
  private static func exif(ofPNG bytes: UnsafeRawBufferPointer) -> Slice<UnsafeRawBufferPointer>? {
    var at = ImageFormat.pngSignature.count
    while let length = number(bytes, at: at, bytes: 4, isBigEndian: true),
      bytes.count - at >= length + 12
    {
      let content = at + 8
      if bytes[at + 4..<content].elementsEqual("eXIf".utf8) {
        return bytes[content..<content + length]
      }
      at = content + length + 4
    }
    return nil
  }

  /// The contents of the APP1 segment that begins with `Exif`, before the first scan. A segment is FF, its type, and its
  /// length, which includes the two bytes of the length.
  private static func exif(ofJPEG bytes: UnsafeRawBufferPointer) -> Slice<UnsafeRawBufferPointer>? {
    let (startOfScan, app1, fill): (UInt8, UInt8, UInt8) = (0xDA, 0xE1, 0xFF)
    var at = 2
    while at + 1 < bytes.count, bytes[at] == fill {
      let kind = bytes[at + 1]
      guard kind != fill else {
        at += 1
        continue
      }
      guard kind != startOfScan,
        let length = number(bytes, at: at + 2, bytes: 2, isBigEndian: true), length >= 2,
        bytes.count - at >= length + 2
      else { return nil }
      let content = bytes[at + 4..<at + 2 + length]
      if kind == app1, content.starts(with: Array("Exif\0\0".utf8)) { return content.dropFirst(6) }
      at += 2 + length
    }
    return nil
  }

  /// The value of the orientation tag in the first directory of a TIFF header. The header is the byte order, 42 and the
  /// directory's offset; the directory is a count, and for each entry 12 bytes with tag, type, count and value.
  private static func value(in exif: Slice<UnsafeRawBufferPointer>) -> Int? {
    let bytes = UnsafeRawBufferPointer(rebasing: exif)
    guard bytes.count >= 8 else { return nil }
    let isBigEndian = bytes.starts(with: Array("MM".utf8))
    guard isBigEndian || bytes.starts(with: Array("II".utf8)) else { return nil }
    func read(_ at: Int, _ count: Int) -> Int? {
      number(bytes, at: at, bytes: count, isBigEndian: isBigEndian)
    }
    guard read(2, 2) == 42, let directory = read(4, 4), let entries = read(directory, 2) else {
      return nil
    }
    let (short, long) = (3, 4)
    for i in 0..<entries {
      let entry = directory + 2 + 12 * i
      guard let tag = read(entry, 2), let type = read(entry + 2, 2) else { return nil }
      guard tag == 0x0112 else { continue }
      return type == short ? read(entry + 8, 2) : type == long ? read(entry + 8, 4) : nil
    }
    return nil
  }

  /// The unsigned integer of `count` bytes at an offset; nil if it extends beyond the end.
  private static func number(
    _ bytes: UnsafeRawBufferPointer, at: Int, bytes count: Int, isBigEndian: Bool
  ) -> Int? {
    guard at <= bytes.count - count else { return nil }
    let digits = bytes[at..<at + count]
    return isBigEndian
      ? digits.reduce(0) { $0 << 8 | Int($1) } : digits.reversed().reduce(0) { $0 << 8 | Int($1) }
  }
}

extension RGBImage {
  /// The image, turned and mirrored so that it is upright.
  func turned(upright orientation: Orientation) -> RGBImage {
    guard orientation != .upright else { return self }
    let (w, h) = orientation.isTransposing ? (height, width) : (width, height)
    // The distances, in pixels of the file, from one column to the next and from one row to the next.
    let steps = orientation.isTransposing ? (column: width, row: 1) : (column: 1, row: width)
    let first =
      (orientation.reversesColumns ? (w - 1) * steps.column : 0)
      + (orientation.reversesRows ? (h - 1) * steps.row : 0)
    let columnStep = orientation.reversesColumns ? -steps.column : steps.column
    let rowStep = orientation.reversesRows ? -steps.row : steps.row
    var turned: [UInt8] = []
    turned.reserveCapacity(pixels.count)
    for y in 0..<h {
      for x in 0..<w {
        let from = 3 * (first + y * rowStep + x * columnStep)
        turned += pixels[from..<from + 3]
      }
    }
    return RGBImage(width: w, height: h, pixels: turned)
  }
}
