import Files
import Foundation
import Testing

@testable import Checkpoint

/// A temporary folder, which is removed with this object.
final class TemporaryFolder: Sendable {
  let path: String

  init() throws {
    path = NSTemporaryDirectory() + "checkpoint-tests-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Writes a file, creating the folders in its path; returns its path.
  @discardableResult
  func write(_ bytes: [UInt8], to name: String) throws -> String {
    let url = URL(fileURLWithPath: "\(path)/\(name)")
    try FileManager.default.createDirectory(
      at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    // Not truncated first, so that a file that is rewritten many times keeps its blocks and does not wait for the disk.
    let descriptor = open(url.path, O_WRONLY | O_CREAT, 0o644)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    try #require(Foundation.write(descriptor, bytes, bytes.count) == bytes.count)
    try #require(ftruncate(descriptor, off_t(bytes.count)) == 0)
    return "\(path)/\(name)"
  }

  @discardableResult
  func write(_ text: String, to name: String) throws -> String {
    try write(Array(text.utf8), to: name)
  }

  func link(_ name: String, to target: String) throws {
    try FileManager.default.createSymbolicLink(
      atPath: "\(path)/\(name)", withDestinationPath: target)
  }
}

/// The path of a fixture.
func fixture(_ name: String) throws -> String {
  try #require(Bundle.module.resourceURL).appendingPathComponent("Fixtures/\(name)").path
}

/// Assembles bytes.
struct ByteBuilder {
  var bytes: [UInt8] = []

  mutating func put<T: FixedWidthInteger>(_ value: T) {
    withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
  }

  /// Appends a string as in GGUF files: its length, or a false `length`, and its bytes.
  mutating func put(_ text: String, length: UInt64? = nil) {
    put(length ?? UInt64(text.utf8.count))
    bytes += Array(text.utf8)
  }

  static func make(_ build: (inout ByteBuilder) -> Void) -> [UInt8] {
    var builder = ByteBuilder()
    build(&builder)
    return builder.bytes
  }
}

/// A file that must be refused with a certain error case, and a field that the message must name.
struct HostileFile: Sendable, CustomTestStringConvertible {
  let what: String
  let bytes: [UInt8]
  let error: String  // the name of the case
  let field: String
  var testDescription: String { what }

  init(_ what: String, _ bytes: [UInt8], _ error: String, _ field: String) {
    (self.what, self.bytes, self.error, self.field) = (what, bytes, error, field)
  }

  /// Writes the file and expects `open` to throw the error, with a message that names path and field.
  func expectRefusal(_ name: String, by open: (String) throws -> Void) throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(bytes, to: name)
    let thrown = try #require(throws: FileError.self) { try open(path) }
    #expect(thrown.caseName == error, "\(thrown)")
    #expect(thrown.description.contains(path), "\(thrown)")
    #expect(thrown.description.contains(field), "\(thrown)")
  }
}

extension FileError {
  /// The name of the case.
  var caseName: String { Mirror(reflecting: self).children.first?.label ?? "\(self)" }
}

func filesIn(_ folder: String) throws -> [String] {
  try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
}
