import Checkpoint
import FuzzSupport

private let scratch = ScratchFile("model.safetensors")

/// What a configuration may say of the codes in a file.
private let schemes: [QuantizationScheme] = {
  var blocks = QuantizationScheme(.fp8)
  blocks.block = (7, 48)
  var groups = QuantizationScheme(.gptq)
  groups.block = (32, 1)
  groups.zerosAreLessOne = false
  return [blocks, groups] + QuantizationScheme.Method.allCases.map { QuantizationScheme($0) }
}()

/// Codes and their scales, put together by every method, and all weights.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafeRawPointer?, _ count: Int) -> CInt {
  scratch.hold(UnsafeRawBufferPointer(start: start, count: count))
  guard let file = try? SafetensorsFile(scratch.path) else { return 0 }
  for scheme in schemes {
    try? exhaust(QuantizedTensors(file, scheme: scheme))
  }
  return 0
}
