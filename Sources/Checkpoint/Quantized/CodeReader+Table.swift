import Files
import Weights

extension CodeReader {
  /// The largest size in bytes of the JSON that describes a weight.
  private static let longestState = 1 << 16

  /// A weight in NF4 or FP4 of bitsandbytes: indices into sixteen values, with one scale per run of consecutive codes across
  /// rows. The scales may be quantised to bytes themselves.
  func table(_ info: TensorInfo, state name: String) throws(FileError) -> StoredTensor {
    let (codes, state) = (try piece(info.name), try piece(name))
    guard state.stored.bytes.count <= Self.longestState else {
      throw state.wrongShape("at most \(Self.longestState) bytes")
    }
    let parsed = try JSONValue.parse(
      Array(state.stored.bytes), source: "\(state.stored.file), \(quoted(name))", dialect: .python)
    func field<T>(_ key: String, _ value: T?) throws(FileError) -> T {
      guard let value else {
        throw .invalidField(
          file: state.stored.file, field: "\(name).\(key)", reason: "missing or not usable")
      }
      return value
    }
    func natural(_ key: String) throws(FileError) -> Int {
      let number = parsed.object?[key]?.int.flatMap { (1...1 << 40).contains($0) ? $0 : nil }
      return try field(key, number)
    }
    let sides = parsed.object?["shape"]?.array?.compactMap(\.int) ?? []
    guard sides.count == 2, sides.allSatisfy({ $0 > 0 }), sides[1] % 2 == 0,
      !sides[0].multipliedReportingOverflow(by: sides[1]).overflow,
      sides[0] * sides[1] == 2 * codes.stored.bytes.count
    else {
      throw codes.wrongShape("half a byte for each of \(sides) weights, an even number per row")
    }
    let count = sides[0] * sides[1]
    let run = try natural("blocksize")
    let blocks = (count - 1) / run + 1
    let values = try piece(info.name + ".quant_map")
    try values.check(["F32"], shape: [16])
    let scale = try piece(info.name + ".absmax")
    var scales = CodeScales(
      numbers: scale.base, type: .f32, owners: [scale.stored.owner, values.stored.owner])
    (scales.values, scales.blockColumns, scales.width) = (values.base, run, sides[1])
    if source.contains(info.name + ".nested_absmax") {
      let nested = try piece(info.name + ".nested_absmax")
      let map = try piece(info.name + ".nested_quant_map")
      let nestedRun = try natural("nested_blocksize")
      try scale.check(["U8"], shape: [blocks])
      try nested.check(["F32"], shape: [(blocks - 1) / nestedRun + 1])
      try map.check(["F32"], shape: [256])
      let offset = try field("nested_offset", parsed.object?["nested_offset"]?.double)
      scales.nested = .init(
        values: map.base, scales: nested.base, run: nestedRun, offset: Float(offset))
      scales.owners += [nested.stored.owner, map.stored.owner]
    } else {
      try scale.check(["F32"], shape: [blocks])
    }
    return tensor(
      info.name, sides, .table4, codes,
      CodedLayout(
        scales: scales, step: 0, rows: sides[0], columns: sides[1], rowBytes: sides[1] / 2,
        isTransposed: false))
  }
}
