import Checkpoint
import FuzzSupport

private let scratch = ScratchFile("model.safetensors")

/// The ways in which a configuration can describe the codes in a file.
private let schemes: [QuantizationScheme] = {
  var blocks = QuantizationScheme(.fp8)
  blocks.block = (7, 48)
  var groups = QuantizationScheme(.gptq)
  groups.block = (32, 1)
  groups.zerosAreLessOne = false
  return [blocks, groups] + QuantizationScheme.Method.allCases.map { QuantizationScheme($0) }
}()

/// Combines codes and their scales by every method, and reads all weights.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafeRawPointer?, _ count: Int) -> CInt {
  scratch.hold(UnsafeRawBufferPointer(start: start, count: count))
  guard let file = try? SafetensorsFile(scratch.path) else { return 0 }
  for scheme in schemes {
    try? exhaust(QuantizedTensors(file, scheme: scheme))
  }
  return 0
}
