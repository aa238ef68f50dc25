import Checkpoint
import FuzzSupport

private let scratch = ScratchFile("lens.pt")

/// Reads the archive, the pickle, its keys and all numbers.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafeRawPointer?, _ count: Int) -> CInt {
  scratch.hold(UnsafeRawBufferPointer(start: start, count: count))
  guard let file = try? TorchLensFile(scratch.path) else { return 0 }
  for layer in file.layers { _ = try? file.matrix(ofLayer: layer) }
  return 0
}
