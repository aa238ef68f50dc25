@testable import Checkpoint

/// Builds a GGUF file, which is valid unless a property says otherwise.
struct GGUFBuilder {
  var magic = "GGUF"
  var version: UInt32 = 3
  var tensorCount: UInt64?
  var metadataCount: UInt64?
  var alignment = 32
  /// Keys, type numbers and the bytes of the values.
  var metadata: [(key: String, type: UInt32, value: [UInt8])] = []
  /// Dimensions in the file's order, columns first.
  var tensors: [(name: String, dimensions: [UInt64], type: UInt32, offset: UInt64)] = []
  var data = 0

  /// Two F32 tensors: w (2, 3) in 24 bytes, padded to 32, and b (5) in 20.
  static var honest: GGUFBuilder {
    var builder = GGUFBuilder()
    builder.metadata = [
      ("general.architecture", 8, ByteBuilder.make { $0.put("test") }),
      ("count", 4, ByteBuilder.make { $0.put(UInt32(7)) }),
    ]
    builder.tensors = [("w", [3, 2], 0, 0), ("b", [5], 0, 32)]
    builder.data = 52
    return builder
  }

  /// The valid file after a change.
  static func changed(_ change: (inout GGUFBuilder) -> Void) -> [UInt8] {
    var builder = honest
    change(&builder)
    return builder.bytes
  }

  /// The valid file with one more metadata entry.
  static func with(
    _ key: String, _ type: UInt32, _ value: (inout ByteBuilder) -> Void
  ) -> [UInt8] {
    changed { $0.metadata.append((key, type, ByteBuilder.make(value))) }
  }

  /// The valid file with its first tensor replaced.
  static func with(
    _ dimensions: [UInt64], type: UInt32 = 0, offset: UInt64 = 0
  ) -> [UInt8] {
    changed { $0.tensors[0] = ("w", dimensions, type, offset) }
  }

  var bytes: [UInt8] {
    var out = ByteBuilder(bytes: Array(magic.utf8))
    out.put(version)
    out.put(tensorCount ?? UInt64(tensors.count))
    out.put(metadataCount ?? UInt64(metadata.count))
    for (key, type, value) in metadata {
      out.put(key)
      out.put(type)
      out.bytes += value
    }
    for (name, dimensions, type, offset) in tensors {
      out.put(name)
      out.put(UInt32(dimensions.count))
      dimensions.forEach { out.put($0) }
      out.put(type)
      out.put(offset)
    }
    while out.bytes.count % alignment != 0 { out.bytes.append(0) }
    return out.bytes + Array(repeating: 0, count: data)
  }
}
