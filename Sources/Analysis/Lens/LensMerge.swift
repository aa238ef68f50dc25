import Alignment
import Files
import LinearAlgebra

/// Joins the shards of one fit into the lens of the whole list.
///
/// All shards have sampled the ranges on the same prompts of the list, in the same directions, so that they have measured in
/// one basis and their sums can be added.
package struct LensMerge {
  private let record: LensRecord
  private let fit: LensFit
  private let cost: LensCost

  /// The largest difference, per entry, between bases of one fit computed on different processors: its effect is below the
  /// rounding of products in single precision.
  private static let basisTolerance = 1e-5

  /// Reads all shards, in any order. Throws `RunError.unfit` for a folder that holds no lens, and `notTogether` unless the
  /// shards are the parts of one list, each given once and fitted with the same settings.
  package init(_ paths: [String]) throws {
    let parts = try paths.map { path in
      let record = try LensRecord(folder: path)
      guard let shard = record.settings.shard else {
        throw RunError.notTogether(path: path, reason: "is a complete lens, not a part of one")
      }
      return (path: path, shard: shard, record: record)
    }.sorted { $0.shard.index < $1.shard.index }
    guard let first = parts.first else {
      throw RunError.notTogether(path: "", reason: "no shard is given")
    }
    for (place, part) in parts.enumerated() {
      if let reason = try LensManifest(first.record).obstacleBesidesShard(
        to: LensManifest(part.record))
      {
        throw RunError.notTogether(
          path: part.path, reason: "compared with \(first.path), \(reason)")
      }
      guard part.shard.count == first.shard.count, part.shard.index == place + 1 else {
        throw RunError.notTogether(
          path: part.path,
          reason:
            "is part \(part.shard.index) of \(part.shard.count); give each part of one list once")
      }
    }
    guard parts.count == first.shard.count else {
      throw RunError.notTogether(
        path: first.path,
        reason: "is one of \(first.shard.count) parts, but only \(parts.count) are given")
    }
    var fit: LensFit?
    var cost = LensCost()
    for part in parts {
      guard let arrays = try ArrayFile(reading: "\(part.path)/sums.safetensors"),
        let file = LensSumsFile(arrays), file.fit.boundaries == part.record.layers.map(\.fromLayer)
      else {
        throw RunError.notTogether(
          path: part.path, reason: "sums.safetensors is missing or damaged; fit that part again")
      }
      cost.add(file.cost)
      guard var sum = fit else {
        fit = file.fit
        continue
      }
      let (own, others) = (file.fit.sketch.cotangents, sum.sketch.cotangents)
      guard own.rows == others.rows, own.columns == others.columns,
        zip(own.elements, others.elements).allSatisfy({ abs($0 - $1) <= Self.basisTolerance })
      else {
        throw RunError.notTogether(
          path: part.path,
          reason:
            "was measured in another basis than \(first.path), probably on another kind of processor; use one kind"
        )
      }
      sum.sums.add(file.fit.sums)
      fit = sum
    }
    guard let fit else { throw RunError.notTogether(path: "", reason: "no shard is given") }
    (self.fit, self.cost) = (fit, cost)
    let records = parts.map(\.record)
    var record = first.record
    record.settings.shard = nil
    record.prompts = records.flatMap(\.prompts)
    record.positions = fit.sums.positions
    record.applications = cost.applications
    record.passes = cost.passes
    record.seconds = .init(
      total: records.reduce(0) { $0 + $1.seconds.total },
      load: records.reduce(0) { $0 + $1.seconds.load }, range: cost.rangeSeconds,
      fit: cost.fitSeconds)
    record.computedWith = records.flatMap(\.computedWith).reduce(into: []) {
      if !$0.contains($1) { $0.append($1) }
    }
    record.peakMemoryBytes = records.map(\.peakMemoryBytes).max() ?? 0
    record.peakPrivateBytes = records.map(\.peakPrivateBytes).max() ?? 0
    self.record = record
  }

  /// Writes the lens of the whole list into a new or empty folder. Throws `RunError.outputNotEmpty`, `cannotWrite`.
  package func write(to path: String) throws -> LensRecord {
    var record = record
    record.settings.output = path
    let folder = try ResultFolder(path, for: LensManifest(record))
    guard !folder.isComplete else { throw RunError.outputNotEmpty(path: path) }
    do {
      let rank = min(record.settings.rank ?? 64, record.model.width)
      let files = try LensWriter(record, fit, cost, rank: rank).write(in: folder)
      record.layers = files.layers
      try folder.finish(files.names, result: try record.json())
      return record
    } catch {
      folder.abandon()
      throw error
    }
  }
}
