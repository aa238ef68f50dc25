import Foundation
import LinearAlgebra

/// The finished part of a `triplets` run: one file per prompt, or one for the average, and one per prompt that failed.
struct MapJournal {
  private let units: KeptUnits
  private let writes: Bool
  private let check: () throws -> Void

  private struct Notes: Codable {
    let report: ConvergenceReport
    let record: MapRecord
    /// Missing in files of earlier versions.
    let certificate: Certificate?
  }

  /// `check` throws if the model has changed since it was opened; then nothing is kept. Nothing is written unless `writes`, in
  /// members of a team that are not its leader.
  init(_ units: KeptUnits, writes: Bool = true, check: @escaping () throws -> Void = {}) {
    (self.units, self.writes, self.check) = (units, writes, check)
  }

  /// Whether a prompt is done; nil means the average.
  func isKnown(_ p: Int?) throws -> Bool {
    if try find(p) != nil { return true }
    guard let p else { return false }
    return try failure(p) != nil
  }

  /// The record of a prompt's map without a read-out, nil if it is not done; the prompt nil means the average.
  func record(_ p: Int?) throws -> MapRecord? { try find(p)?.1.record }

  /// The triplets of a prompt's map; nil means the average. Throws `RunError.lostUnit` if they are gone.
  func triplets(_ p: Int?) throws -> (triplets: SingularTriplets, record: MapRecord) {
    guard let (file, notes) = try find(p), let u = file.matrix("U"), let v = file.matrix("V"),
      let s = file.matrix("S"), let residuals = file.matrix("residuals")
    else {
      throw RunError.lostUnit(path: units.folder, unit: "what was found of some prompts")
    }
    let further = file.further("", hasVectors: true)
    file.release()
    return (
      SingularTriplets(
        singularValues: s.elements, leftVectors: u, rightVectors: v,
        residualNorms: residuals.elements, report: notes.report, further: further,
        certificate: notes.certificate), notes.record
    )
  }

  private func find(_ p: Int?) throws -> (ArrayFile, Notes)? {
    guard let file = try units.unit(name(p)), let notes = file.notes(Notes.self) else {
      return nil
    }
    return (file, notes)
  }

  /// Keeps triplets.
  func keep(_ found: (triplets: SingularTriplets, record: MapRecord), _ p: Int?) throws {
    try check()
    guard writes else { return }
    var file = ArrayFile()
    file.append("U", found.triplets.leftVectors)
    file.append("V", found.triplets.rightVectors)
    file.append("S", Matrix([found.triplets.singularValues]))
    file.append("residuals", Matrix([found.triplets.residualNorms]))
    file.append(furtherOf: found.triplets, "")
    let notes = Notes(
      report: found.triplets.report, record: found.record, certificate: found.triplets.certificate)
    try units.keep(file, notes: notes, as: name(p))
  }

  /// Why a prompt failed; nil if it did not.
  func failure(_ p: Int) throws -> LostPrompt? {
    try units.unit("\(name(p)).failure")?.notes(LostPrompt.self)
  }

  /// Keeps why a prompt failed.
  func keep(_ failure: LostPrompt, _ p: Int) throws {
    try check()
    guard writes else { return }
    try units.keep(ArrayFile(), notes: failure, as: "\(name(p)).failure")
  }

  private func name(_ p: Int?) -> String { MapResults.name(p) }
}
