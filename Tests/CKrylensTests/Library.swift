import CKrylens
import CKrylensHeader
import Foundation
import TestSupport
import Testing

/// The library as a C caller has it, its refusals thrown.
enum Library {
  /// A call that did not end well.
  struct Refusal: Error, CustomStringConvertible {
    let status: krylens_status
    let description: String
  }

  static func check(_ status: krylens_status) throws {
    guard status != KRYLENS_OK else { return }
    throw Refusal(status: status, description: String(cString: krylens_last_error()))
  }

  static func model(
    _ path: String = ModelFixture("llama").folder, _ settings: String? = #"{"threads": 1}"#
  )
    throws -> OpaquePointer
  {
    var model: OpaquePointer?
    try check(krylens_open(path, settings, &model))
    return try #require(model)
  }

  static func jacobian(_ model: OpaquePointer, _ settings: String) throws -> OpaquePointer {
    var jacobian: OpaquePointer?
    try check(krylens_jacobian_open(model, settings, &jacobian))
    return try #require(jacobian)
  }

  /// Of a model that is opened for it and closed again.
  static func jacobian(_ settings: String) throws -> OpaquePointer {
    let model = try model()
    defer { krylens_model_close(model) }
    return try jacobian(model, settings)
  }

  static func shape(_ jacobian: OpaquePointer) throws -> (m: Int, n: Int) {
    var (m, n): (Int64, Int64) = (0, 0)
    try check(krylens_jacobian_shape(jacobian, &m, &n))
    return (Int(m), Int(n))
  }

  /// The bytes of an answer that is JSON.
  static func json(
    _ call: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> krylens_status
  ) throws -> Data {
    var text: UnsafeMutablePointer<CChar>?
    try check(call(&text))
    defer { krylens_free(text) }
    return Data(String(cString: try #require(text)).utf8)
  }

  /// Its members. Foundation rounds the numbers of such objects in their last bits.
  static func object(
    _ call: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> krylens_status
  ) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: json(call)) as? [String: Any])
  }

  /// Numbers that are no multiples of each other.
  static func numbers(_ count: Int) -> [Double] { (0..<count).map { sin(Double($0 * $0 + 1)) } }
}
