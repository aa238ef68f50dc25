import Foundation

@testable import Checkpoint

/// Opcodes of pickles; see Python's pickletools.
enum Op {
  static let start: [UInt8] = [0x80, 2]
  static let stop: [UInt8] = [0x2E]
  static let mark: [UInt8] = [0x28]
  static let tuple: [UInt8] = [0x74]
  static let emptyTuple: [UInt8] = [0x29]
  static let none: [UInt8] = [0x4E]
  static let emptyDict: [UInt8] = [0x7D]
  static let setItem: [UInt8] = [0x73]
  static let reduce: [UInt8] = [0x52]
  static let build: [UInt8] = [0x62]
  static let persistent: [UInt8] = [0x51]
  static func global(_ module: String, _ name: String) -> [UInt8] {
    Array("c\(module)\n\(name)\n".utf8)
  }
  static func text(_ text: String) -> [UInt8] {
    ByteBuilder.make {
      $0.bytes = [0x58]; $0.put(UInt32(text.utf8.count))
    } + Array(text.utf8)
  }
  static func int(_ value: Int) -> [UInt8] {
    ByteBuilder.make {
      $0.bytes = [0x8A, 8]; $0.put(value)
    }
  }
  static func ints(_ values: [Int]) -> [UInt8] { mark + values.flatMap(int) + tuple }
  static func put(_ index: UInt32) -> [UInt8] {
    ByteBuilder.make {
      $0.bytes = [0x72]; $0.put(index)
    }
  }
  static func get(_ index: UInt32) -> [UInt8] {
    ByteBuilder.make {
      $0.bytes = [0x6A]; $0.put(index)
    }
  }
}

/// Builds a file as torch.save writes it; every field may be given a false value.
struct PyTorchBuilder {
  var key = "w"
  var storage = "FloatStorage"
  var storageKey = "0"
  var storageCount = 6
  var offset = 0
  var shape = [6]
  var strides = [1]
  var hooks: [UInt8] = Op.none
  var more: [UInt8] = []  // after the hooks
  /// A pickle that replaces the one that describes a tensor.
  var pickle: [UInt8]?
  var byteOrder = "little"
  var data = ByteBuilder.make { for i in 0..<6 { $0.put(Float(i).bitPattern) } }
  var change: (inout ZipBuilder) -> Void = { _ in }

  var tensor: [UInt8] {
    let identity = [
      Op.mark, Op.text("storage"), Op.global("torch", storage), Op.text(storageKey),
      Op.text("cpu"), Op.int(storageCount), Op.tuple, Op.persistent,
    ]
    let arguments = [Op.int(offset), Op.ints(shape), Op.ints(strides), [0x89], hooks, more]
    let function = [Op.global("torch._utils", "_rebuild_tensor_v2"), Op.mark]
    return (function + identity + arguments + [Op.tuple, Op.reduce]).flatMap { $0 }
  }

  var bytes: [UInt8] {
    var zip = ZipBuilder()
    let whole = [Op.start, Op.emptyDict, Op.text(key), tensor, Op.setItem, Op.stop].flatMap { $0 }
    zip.entries = [
      .init(name: "m/data.pkl", contents: pickle ?? whole),
      .init(name: "m/byteorder", contents: Array(byteOrder.utf8)),
      .init(name: "m/data/0", contents: data),
    ]
    change(&zip)
    return zip.bytes
  }
}

/// A file with a changed description of its tensor.
func lying(_ change: (inout PyTorchBuilder) -> Void) -> [UInt8] {
  var builder = PyTorchBuilder()
  change(&builder)
  return builder.bytes
}

/// A file with this pickle.
func pickle(_ pieces: [UInt8]...) -> [UInt8] {
  lying { $0.pickle = Op.start + pieces.flatMap { $0 } }
}

/// A file with a changed zip archive.
func archive(_ change: @escaping (inout ZipBuilder) -> Void) -> [UInt8] {
  lying { $0.change = change }
}

/// Operations that make 64 nested pairs, each of the previous value twice.
let unfolding: [UInt8] = (0..<64).flatMap { (i: UInt32) -> [UInt8] in
  [Op.get(i), Op.get(i), [0x86], Op.put(i + 1)].flatMap { $0 }
}

/// Builds a zip archive with a data descriptor after every entry and zip64 records at the end, as torch.save writes it.
struct ZipBuilder {
  struct Entry {
    var name: String
    var contents: [UInt8]
    var flags: UInt16 = 0x0808
    var localFlags: UInt16?
    var method: UInt16 = 0
    var localName: String?
    var localSize: UInt32 = 0
    var size: UInt32?  // in the directory
    var compressedSize: UInt32?
    var header: UInt32?
    var extra: [UInt8] = []
  }

  var entries: [Entry] = []
  var count: UInt64?
  var directorySize: UInt64?
  var directoryOffset: UInt64?
  var hasZip64 = true
  var shortCount: UInt16?
  var recordOffset: UInt64?
  var tail: [UInt8] = []
  var beforeDirectoryEnd: [UInt8] = []

  var bytes: [UInt8] {
    var file = ByteBuilder()
    var directory = ByteBuilder()
    for entry in entries {
      let start = UInt32(file.bytes.count)
      let size = UInt32(entry.contents.count)
      let localName = Array((entry.localName ?? entry.name).utf8)
      file.put(UInt32(0x0403_4B50)); file.put(UInt16(0))
      file.put(entry.localFlags ?? entry.flags); file.put(entry.method)
      file.put(UInt64(0)); file.put(entry.localSize); file.put(entry.localSize)
      file.put(UInt16(localName.count)); file.put(UInt16(0))
      file.bytes += localName + entry.contents
      file.put(UInt32(0x0807_4B50)); file.put(UInt32(0)); file.put(size); file.put(size)

      directory.put(UInt32(0x0201_4B50)); directory.put(UInt32(0))
      directory.put(entry.flags); directory.put(entry.method)
      directory.put(UInt64(0))
      directory.put(entry.compressedSize ?? entry.size ?? size); directory.put(entry.size ?? size)
      directory.put(UInt16(entry.name.utf8.count)); directory.put(UInt16(entry.extra.count))
      directory.put(UInt16(0)); directory.put(UInt64(0)); directory.put(entry.header ?? start)
      directory.bytes += Array(entry.name.utf8) + entry.extra
    }
    directory.bytes += beforeDirectoryEnd
    let count = count ?? UInt64(entries.count)
    let size = directorySize ?? UInt64(directory.bytes.count)
    let offset = directoryOffset ?? UInt64(file.bytes.count)
    file.bytes += directory.bytes
    if hasZip64 {
      let record = recordOffset ?? UInt64(file.bytes.count)
      file.put(UInt32(0x0606_4B50)); file.put(UInt64(44)); file.put(UInt32(0)); file.put(UInt64(0))
      file.put(count); file.put(count); file.put(size); file.put(offset)
      file.put(UInt32(0x0706_4B50)); file.put(UInt32(0)); file.put(record); file.put(UInt32(1))
    }
    let short = shortCount ?? UInt16(clamping: count)
    file.put(UInt32(0x0605_4B50)); file.put(UInt32(0)); file.put(short); file.put(short)
    file.put(UInt32(clamping: size)); file.put(UInt32(clamping: offset)); file.put(UInt16(0))
    return file.bytes + tail
  }
}
