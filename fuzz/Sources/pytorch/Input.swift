import Checkpoint
import FuzzSupport

private let scratch = ScratchFile("pytorch_model.bin")

/// Reads the archive, the pickle and all numbers.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafeRawPointer?, _ count: Int) -> CInt {
  scratch.hold(UnsafeRawBufferPointer(start: start, count: count))
  try? exhaust(PyTorchFile(scratch.path))
  return 0
}
