import Images

/// PNG and JPEG, up to a megapixel: a small file may ask for a large image, and time is for other files.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafeRawPointer?, _ count: Int) -> CInt {
  let bytes = UnsafeRawBufferPointer(start: start, count: count)
  _ = try? RGBImage(decoding: bytes, file: "image", byteLimit: 3 << 20)
  return 0
}
