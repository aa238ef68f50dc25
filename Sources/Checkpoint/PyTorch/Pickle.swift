import Files

/// The contents of a pickle, parsed without executing it: functions and classes are names, and calls are recorded.
///
/// Supported are the opcodes that torch.save needs for tensors in a dictionary, in protocols 2 to 5, and on request those of
/// lists and floats. Any other opcode or name is an error. Composite values are positions in the arrays below and refer to
/// one another by position, so nothing is nested: a value that contains itself, or one a million levels deep, is just a
/// number.
/// Format: Python's `pickletools`; PEP 307, 3154.
struct Pickle {
  /// A value.
  enum Value {
    case none
    case truth(Bool)
    case integer(Int)
    case float(Double)
    case text(String)
    /// A function or class, by its name qualified with its module.
    case global(String)
    /// A position in `tuples`.
    case tuple(Int)
    /// A position in `lists`.
    case list(Int)
    /// A position in `dictionaries`.
    case dictionary(Int)
    /// A position in `calls`.
    case call(Int)
    /// An object stored outside the pickle: the position in `tuples` of its identifier.
    case persistent(Int)
  }

  private(set) var tuples: [[Value]] = [[]]  // the first is the empty tuple
  private(set) var lists: [[Value]] = []
  private(set) var dictionaries: [[(key: Value, value: Value)]] = []
  /// Recorded calls: the function, and the position of its arguments in `tuples`.
  private(set) var calls: [(function: String, arguments: Int)] = []
  /// The value of the whole pickle.
  private(set) var root = Value.none

  private var cursor: ByteCursor
  private var start: Int  // of the current opcode
  private var stack: [Value] = []
  private var marks: [Int] = []  // heights of the stack
  private var memo: [Value] = []
  private let globals: Set<String>
  private let allowsPlainData: Bool

  /// The most operations that are read; about 35 per tensor are usual. This bounds the number of values, and the size of the
  /// file bounds the size of strings.
  private static let mostOperations = 1 << 22
  /// The most bytes of a string or name.
  private static let longestText: UInt64 = 4096

  /// Parses the pickle at `range` of `file`. It may name the `globals`, and contain lists and floats if `allowsPlainData`.
  ///
  /// Throws `FileError`: `truncated`, `malformedPickle`, `forbiddenPickle`, `implausibleCount`, `invalidText`.
  init(
    _ file: MappedFile, _ range: Range<Int>, globals: Set<String>, allowsPlainData: Bool = false
  ) throws(FileError) {
    defer { withExtendedLifetime(file) {} }  // the cursor holds its address, not the mapping
    cursor = ByteCursor(
      UnsafeRawBufferPointer(rebasing: file.bytes[..<range.upperBound]), at: range.lowerBound,
      file: file.path)
    start = range.lowerBound
    self.globals = globals
    self.allowsPlainData = allowsPlainData
    var operations = 0
    while try step() {
      operations += 1
      guard operations < Self.mostOperations else {
        throw .implausibleCount(
          file: cursor.file, field: "number of operations in the pickle",
          count: UInt64(operations) + 1, limit: UInt64(Self.mostOperations))
      }
    }
  }

  enum Opcode: UInt8 {
    case protocolVersion = 0x80, frame = 0x95, stop = 0x2E, mark = 0x28
    case none = 0x4E, true_ = 0x88, false_ = 0x89
    case int32 = 0x4A, uint8 = 0x4B, uint16 = 0x4D, long = 0x8A
    case text = 0x58, shortText = 0x8C
    case emptyTuple = 0x29, tuple = 0x74, tuple1 = 0x85, tuple2 = 0x86, tuple3 = 0x87
    case emptyList = 0x5D, append = 0x61, appends = 0x65, float = 0x47
    case emptyDictionary = 0x7D, setItem = 0x73, setItems = 0x75
    case put = 0x71, longPut = 0x72, memoize = 0x94, get = 0x68, longGet = 0x6A
    case global = 0x63, stackGlobal = 0x93, reduce = 0x52, build = 0x62, persistent = 0x51

    var isPlainData: Bool { [.emptyList, .append, .appends, .float].contains(self) }
  }

  /// Parses one operation. Returns false if it was the last one.
  private mutating func step() throws(FileError) -> Bool {
    start = cursor.position
    let byte = try next(UInt8.self)
    guard let opcode = Opcode(rawValue: byte), allowsPlainData || !opcode.isPlainData else {
      let letter = (0x21...0x7E).contains(byte) ? " (\(Unicode.Scalar(byte)))" : ""
      throw forbidden("opcode 0x\(String(byte, radix: 16))\(letter)")
    }
    switch opcode {
    case .protocolVersion:
      let version = try next(UInt8.self)
      guard (2...5).contains(version) else { throw malformed("unknown protocol \(version)") }
    case .frame: _ = try next(UInt64.self)  // bytes that follow; nothing depends on it
    case .stop:
      root = try pop()
      guard stack.isEmpty, marks.isEmpty else { throw malformed("values are left over") }
      return false
    case .mark: marks.append(stack.count)
    case .none: stack.append(.none)
    case .true_: stack.append(.truth(true))
    case .false_: stack.append(.truth(false))
    case .int32: stack.append(.integer(Int(try next(Int32.self))))
    case .uint8: stack.append(.integer(Int(try next(UInt8.self))))
    case .uint16: stack.append(.integer(Int(try next(UInt16.self))))
    case .long: stack.append(.integer(try long()))
    case .text: stack.append(.text(try text(length: UInt64(try next(UInt32.self)))))
    case .shortText: stack.append(.text(try text(length: UInt64(try next(UInt8.self)))))
    case .emptyTuple: stack.append(.tuple(0))
    case .tuple: push(tuple: try popToMark())
    case .tuple1: push(tuple: [try pop()])
    case .tuple2:
      let second = try pop()
      push(tuple: [try pop(), second])
    case .tuple3:
      let (third, second) = (try pop(), try pop())
      push(tuple: [try pop(), second, third])
    case .emptyList:
      stack.append(.list(lists.count))
      lists.append([])
    case .append: try append([try pop()])
    case .appends: try append(try popToMark())
    case .float:
      // The only big-endian number in a pickle.
      stack.append(.float(Double(bitPattern: try next(UInt64.self).byteSwapped)))
    case .emptyDictionary: pushDictionary()
    case .setItem:
      let value = try pop()
      try set([try pop(), value])
    case .setItems: try set(try popToMark())
    case .put: try put(Int(try next(UInt8.self)))
    case .longPut: try put(Int(try next(UInt32.self)))
    case .memoize: try put(memo.count)
    case .get: try get(Int(try next(UInt8.self)))
    case .longGet: try get(Int(try next(UInt32.self)))
    case .global:
      let module = try line()
      try pushGlobal("\(module).\(try line())")
    case .stackGlobal:
      guard case .text(let name) = try pop(), case .text(let module) = try pop() else {
        throw malformed("the name of a function is not a string")
      }
      try pushGlobal("\(module).\(name)")
    case .reduce: try reduce()
    case .build:
      // Attributes of an OrderedDict: `_metadata` of a state dictionary, which has the modules' versions and no tensors.
      guard case .dictionary = try pop(), case .dictionary? = top else {
        throw forbidden("attributes of something other than a dictionary")
      }
    case .persistent:
      guard case .tuple(let identity) = try pop() else {
        throw malformed("the identifier of a storage is not a tuple")
      }
      stack.append(.persistent(identity))
    }
    return true
  }

  // MARK: The stack

  /// The topmost value; nil if there is none above the last mark.
  private var top: Value? { stack.count > marks.last ?? 0 ? stack.last : nil }

  private mutating func pop() throws(FileError) -> Value {
    guard let value = top else { throw malformed("a value is missing") }
    stack.removeLast()
    return value
  }

  private mutating func popToMark() throws(FileError) -> [Value] {
    guard let mark = marks.popLast() else { throw malformed("a mark is missing") }
    defer { stack.removeSubrange(mark...) }
    return Array(stack[mark...])
  }

  private mutating func push(tuple: [Value]) {
    stack.append(.tuple(tuples.count))
    tuples.append(tuple)
  }

  private mutating func pushDictionary() {
    stack.append(.dictionary(dictionaries.count))
    dictionaries.append([])
  }

  private mutating func pushGlobal(_ name: String) throws(FileError) {
    guard globals.contains(name) else { throw forbidden(name) }
    stack.append(.global(name))
  }

  /// Appends values to the list at the top of the stack.
  private mutating func append(_ items: [Value]) throws(FileError) {
    guard case .list(let position)? = top else { throw malformed("items without a list") }
    lists[position] += items
  }

  /// Adds alternating keys and values to the dictionary at the top of the stack.
  private mutating func set(_ items: [Value]) throws(FileError) {
    guard case .dictionary(let position)? = top, items.count % 2 == 0 else {
      throw malformed("items without a dictionary")
    }
    for i in stride(from: 0, to: items.count, by: 2) {
      dictionaries[position].append((items[i], items[i + 1]))
    }
  }

  /// Replaces the creation of an OrderedDict by a dictionary, and records any other call.
  private mutating func reduce() throws(FileError) {
    guard case .tuple(let arguments) = try pop(), case .global(let function) = try pop() else {
      throw malformed("a call without a function or arguments")
    }
    if function == "collections.OrderedDict" {
      guard tuples[arguments].isEmpty else { throw forbidden("\(function) with arguments") }
      pushDictionary()
    } else {
      stack.append(.call(calls.count))
      calls.append((function, arguments))
    }
  }

  // MARK: The memo

  /// Stores the topmost value. Writers number values consecutively; a number beyond the next one is refused, since it could
  /// claim any amount of memory.
  private mutating func put(_ index: Int) throws(FileError) {
    guard let value = top else { throw malformed("a value is missing") }
    guard index <= memo.count else { throw malformed("memo \(index) where \(memo.count) is next") }
    if index == memo.count { memo.append(value) } else { memo[index] = value }
  }

  private mutating func get(_ index: Int) throws(FileError) {
    guard index < memo.count else { throw malformed("memo \(index) does not exist") }
    stack.append(memo[index])
  }

  // MARK: Bytes

  private mutating func next<T: FixedWidthInteger & BitwiseCopyable>(
    _ type: T.Type
  ) throws(FileError) -> T {
    try cursor.integer(type, "the pickle")
  }

  /// Reads an integer of up to eight bytes, in two's complement.
  private mutating func long() throws(FileError) -> Int {
    let length = try next(UInt8.self)
    guard length <= 8 else { throw malformed("an integer of \(length) bytes") }
    var value: UInt64 = 0
    for byte in try cursor.take(UInt64(length), "the pickle").reversed() {
      value = value << 8 | UInt64(byte)
    }
    let unused = 64 - 8 * Int(length)
    return Int(Int64(bitPattern: value << unused) >> unused)
  }

  private mutating func text(length: UInt64) throws(FileError) -> String {
    guard length <= Self.longestText else {
      throw .implausibleCount(
        file: cursor.file, field: "length of a string in the pickle", count: length,
        limit: Self.longestText)
    }
    return try string(cursor.take(length, "the pickle"))
  }

  /// Reads a name, which ends with a line feed.
  private mutating func line() throws(FileError) -> String {
    let rest = cursor.bytes[cursor.position...].prefix(Int(Self.longestText))
    guard let end = rest.firstIndex(of: UInt8(ascii: "\n")) else {
      throw malformed("a name has no end")
    }
    let name = try string(UnsafeRawBufferPointer(rebasing: rest[..<end]))
    cursor.position = end + 1
    return name
  }

  private func string(_ bytes: UnsafeRawBufferPointer) throws(FileError) -> String {
    guard let string = String(validating: bytes, as: UTF8.self) else {
      throw .invalidText(file: cursor.file, field: "a string in the pickle")
    }
    return string
  }

  private func malformed(_ reason: String) -> FileError {
    .malformedPickle(file: cursor.file, offset: start, reason: reason)
  }

  private func forbidden(_ what: String) -> FileError {
    .forbiddenPickle(file: cursor.file, offset: start, what: what)
  }
}
