import Images

/// Reads PNG and JPEG files of up to a megapixel: a small file can declare a large image, which would take too long.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafeRawPointer?, _ count: Int) -> CInt {
  let bytes = UnsafeRawBufferPointer(start: start, count: count)
  _ = try? RGBImage(decoding: bytes, file: "image", byteLimit: 3 << 20)
  return 0
}
