import Checkpoint
import FuzzSupport
import Model
import Tokenization

private let scratch = ScratchFile("model.gguf")

/// Reads metadata and tensors; then the vocabulary and the families, which trust the metadata.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafeRawPointer?, _ count: Int) -> CInt {
  scratch.hold(UnsafeRawBufferPointer(start: start, count: count))
  guard let file = try? GGUFFile(scratch.path) else { return 0 }
  for (_, value) in file.metadata { _ = try? value.array?.values() }
  try? exhaust(file)
  if let tokenizer = try? Tokenizer(gguf: file) {
    _ = tokenizer.decode(tokenizer.encode("Fuzz it, 12 times!\n"))
  }
  if let directory = try? CheckpointDirectory(opening: scratch.path) {
    _ = try? loadTransformer(directory)
  }
  return 0
}
