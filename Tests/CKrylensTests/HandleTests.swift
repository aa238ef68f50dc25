import CKrylensHeader
import Foundation
import TestSupport
import Testing

/// What handles are and what models say. Refusals are the C program's, process.c.
struct HandleTests {
  @Test func aModelSaysWhatItIs() throws {
    let model = try Library.model()
    defer { krylens_model_close(model) }
    let info = try Library.object { krylens_model_info(model, $0) }
    #expect(info["family"] as? String == "llama" && info["layers"] as? Int == 3)
    #expect(info["width"] as? Int == 24 && info["threads"] as? Int == 1)
    #expect(info["positions"] != nil && info["has_tokenizer"] as? Bool == false)
  }

  /// Unknown settings are answered with the known ones, and handles with what they are.
  @Test func messagesHelp() throws {
    var model: OpaquePointer?
    let path = ModelFixture("llama").folder
    #expect(krylens_open(path, #"{"thread": 1}"#, &model) == KRYLENS_INVALID_ARGUMENT)
    #expect(
      String(cString: krylens_last_error())
        == #"settings: there is no setting "thread"; there are threads, random_init, seed"#)
    #expect(krylens_open("\u{1B}[31m", nil, &model) == KRYLENS_FAILED)
    #expect(String(cString: krylens_last_error()).hasPrefix(#"\u{1B}[31m"#))
    model = try Library.model()
    defer { krylens_model_close(model) }
    // A NUL from JSON does not cut the message short.
    var jacobian: OpaquePointer?
    krylens_jacobian_open(model, #"{"image": "a\u0000b"}"#, &jacobian)
    #expect(String(cString: krylens_last_error()).contains(#"a\0b"#))
    #expect(krylens_jacobian_close(model) == KRYLENS_INVALID_HANDLE)
    #expect(
      String(cString: krylens_last_error()) == "the handle is a model's; give a jacobian")
    // Each thread has its own.
    let other = Thread { _ = krylens_model_close(nil) }
    other.start()
    while !other.isFinished { usleep(100) }
    #expect(
      String(cString: krylens_last_error()) == "the handle is a model's; give a jacobian")
  }

  @Test func aJacobianSaysWhatItIs() throws {
    let jacobian = try Library.jacobian(
      #"{"token_ids": [1, 5, 7, 3], "from_layer": 1, "to_layer": "final", "from_token": [-1, 0]}"#)
    defer { krylens_jacobian_close(jacobian) }
    let info = try Library.object { krylens_jacobian_info(jacobian, $0) }
    #expect(info["shape"] as? [Int] == [24, 48])
    #expect(info["from_tokens"] as? [Int] == [0, 3] && info["to_tokens"] as? [Int] == [3])
    #expect(info["token_ids"] as? [Int] == [1, 5, 7, 3] && info["to_layer"] as? String == "final")
    #expect(
      info["identity_subtracted"] as? Bool == false && info["precision"] as? String == "single")
  }

  /// An average of several prompts, and one that has none.
  @Test func severalPromptsAreAveraged() throws {
    let jacobian = try Library.jacobian(#"{"token_ids": [[1, 5, 7], [2, 9]], "to_layer": 2}"#)
    defer { krylens_jacobian_close(jacobian) }
    let info = try Library.object { krylens_jacobian_info(jacobian, $0) }
    #expect(info["from_tokens"] as? [Int] == [-1] && (info["prompts"] as? [Any])?.count == 2)
    #expect(throws: Library.Refusal.self) {
      try Library.jacobian(
        #"{"token_ids": [[1, 5, 7], [2, 9]], "to_layer": 2, "from_token": "all"}"#)
    }
  }
}
