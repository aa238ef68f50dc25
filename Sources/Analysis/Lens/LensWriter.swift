import Alignment
import Checkpoint
import Files
import LinearAlgebra
import Weights

/// Writes the results of a fit: `lens.safetensors`, `lens.pt`, and for a shard `sums.safetensors`.
struct LensWriter {
  private let record: LensRecord
  private let fit: LensFit
  private let cost: LensCost
  private let rank: Int

  /// Prepares to write a fit described by `record`, whose layers are ignored.
  init(_ record: LensRecord, _ fit: LensFit, _ cost: LensCost, rank: Int) {
    (self.record, self.fit, self.cost, self.rank) = (record, fit, cost, rank)
  }

  private var isDense: Bool { record.settings.dense }
  private var width: Int { record.model.width }

  /// Writes the files to the temporary folder, and returns their names and layers for `result.json`. Throws
  /// `RunError.cannotWrite`.
  func write(
    in folder: ResultFolder<LensManifest>
  ) throws -> (names: [String], layers: [LensRecord.Layer]) {
    do {
      var names = ["lens.safetensors"]
      let layers = try writeArrays(to: folder.aside(names[0]))
      if let pairs = torchLayers(layers), !pairs.isEmpty {
        names.append("lens.pt")
        try TorchLensFile.write(
          to: folder.aside("lens.pt"), layers: pairs.map { fit.boundaries[$0.place] - 1 },
          width: width, promptCount: record.prompts.count
        ) { layer in
          let pair = pairs.first { fit.boundaries[$0.place] == layer + 1 }
          return pair.map { isDense ? fit.sums.mean($0.place) : $0.layer.product }
            ?? Matrix(rows: width, columns: width)
        }
      }
      if record.settings.shard != nil {
        names.append("sums.safetensors")
        let sums = LensSumsFile(fit, cost)
        try sums.arrays.write(to: folder.aside("sums.safetensors"), notes: sums.notes)
      }
      return (names, layers.enumerated().map { fit.recorded($0, $1, isDense: isDense) })
    } catch FileError.cannotWrite(_, let reason) {
      throw RunError.cannotWrite(path: folder.path, reason: reason)
    }
  }

  /// The layers of the `.pt` file, without boundary 0, since its layers are outputs of blocks.
  private func torchLayers(_ layers: [LensLayer]) -> [(place: Int, layer: LensLayer)]? {
    layers.enumerated().filter { fit.boundaries[$0.offset] > 0 }.map { ($0.offset, $0.element) }
  }

  /// Writes `l<N>.U`, `l<N>.S` and `l<N>.V`, and for a dense fit `l<N>.J`, in single precision.
  private func writeArrays(to path: String) throws -> [LensLayer] {
    let k = fit.kept(rank)
    let entries = fit.boundaries.flatMap { l in
      [("U", [k, width]), ("S", [k]), ("V", [k, width])].map {
        SafetensorsWriter.Entry(name: "l\(l).\($0.0)", shape: $0.1)
      } + (isDense ? [.init(name: "l\(l).J", shape: [width, width])] : [])
    }
    let writer = try SafetensorsWriter(
      path, entries: entries, metadata: LensProvenance(record).texts)
    var layers: [LensLayer] = []
    for place in fit.boundaries.indices {
      let mean = fit.sums.mean(place)
      let layer = try fit.layer(mean, rank: rank)
      for numbers in [
        layer.leftVectors.elements, layer.singularValues, layer.rightVectors.elements,
        isDense ? mean.elements : [],
      ] { try writer.append(numbers.map { Float($0) }) }
      layers.append(layer)
    }
    try writer.finish()
    return layers
  }
}

/// The origin of a lens, in the metadata of its file.
struct LensProvenance {
  /// The metadata's keys and values.
  let texts: [String: String]

  init(_ record: LensRecord) {
    texts = [
      "format": Self.format, "krylens": record.krylens, "model": record.model.name,
      "fingerprint": record.model.fingerprint, "layers": "\(record.model.layers)",
      "width": "\(record.model.width)", "to_layer": "\(record.target.layer)",
      "reduce": record.target.reduce, "skip": "\(record.settings.skip)",
      "prompts": "\(record.prompts.count)", "prompts_hash": record.promptList.hash,
      "positions": "\(record.positions)",
    ]
  }

  static let format = "krylens lens"
}
