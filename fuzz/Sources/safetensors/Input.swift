import Checkpoint
import FuzzSupport

private let scratch = ScratchFile("model.safetensors")

/// Reads the header and all numbers.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafeRawPointer?, _ count: Int) -> CInt {
  scratch.hold(UnsafeRawBufferPointer(start: start, count: count))
  try? exhaust(SafetensorsFile(scratch.path))
  return 0
}
