import Foundation
import TestSupport
import Testing

/// A model with a tokenizer: a checkpoint made by the command itself, and a committed tokenizer.
///
/// Width 128, so that the ranks of the authors' release exist; 3 blocks; as many ids as the tokenizer and some.
enum TextModel {
  static let path = folder.map(\.path).map { "\($0)/model" }

  /// The folder, kept as long as the tests run.
  private static let folder = Result {
    let scratch = try ScratchFolder()
    let folder = scratch["model"]
    let made = try Command.run(
      [
        "synthesize", "--like", "smollm2-135m", "--layers", "3", "--width", "128", "--vocabulary",
        "1024", "--dtype", "f32", folder,
      ], in: scratch)
    try #require(made.status == 0, "\(made.error)")
    let tokenizer = ModelFixture.path("TokenizationTests/Fixtures/smollm2.json")
    try scratch.copy(tokenizer, as: "model/tokenizer.json")
    return scratch
  }
}
