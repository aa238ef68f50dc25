import Alignment
import Checkpoint
import Foundation
import LinearAlgebra

/// A journal in a folder: one file per unit, written under a temporary name and renamed, so that a unit is complete or absent.
///
/// Arrays are F64 in safetensors files and everything else is JSON, so that what is read equals what was computed, bit by bit.
/// Every file carries a hash of its contents: a file damaged by a crash of the machine is computed again.
final class FolderJournal: RunJournal {
  /// The folder.
  let path: String

  /// A journal in an existing folder.
  init(_ path: String) { self.path = path }

  /// The names of the files written so far.
  private(set) var written: Set<String> = []

  /// Whether there is a file of this name. Opening it makes a network file system ask its server.
  func hasFile(_ name: String) -> Bool {
    let descriptor = open("\(path)/\(name)", O_RDONLY | O_CLOEXEC)
    if descriptor >= 0 { close(descriptor) }
    return descriptor >= 0
  }

  private func read(_ name: String) throws -> ArrayFile? {
    try ArrayFile(reading: "\(path)/\(name)")
  }

  private func write(_ file: ArrayFile, to name: String, notes: some Encodable) throws {
    try file.write(to: "\(path)/\(name)", notes: notes)
    written.insert(name)
  }

  // MARK: Triplets

  private struct SolvedNotes: Codable {
    let reports: [ConvergenceReport?]
    let seconds: Double
    /// Missing in files of earlier versions.
    let precisions: [ProductPrecision]?
    let noise: MeasuredNoise?
    let certificates: [Certificate?]?
  }

  func solved(_ group: PromptGroup, layer: Int) throws -> SolvedBlock? {
    guard let (file, notes) = try triplets(group, layer: layer) else { return nil }
    var triplets: [SingularTriplets?] = []
    for (r, report) in notes.reports.enumerated() {
      guard report != nil else {
        triplets.append(nil)
        continue
      }
      guard let found = Self.triplets(r, notes, file, hasVectors: true) else { return nil }
      triplets.append(found)
    }
    return SolvedBlock(
      triplets: triplets, seconds: notes.seconds, precisions: notes.precisions, noise: notes.noise)
  }

  private func triplets(
    _ group: PromptGroup, layer: Int
  ) throws -> (ArrayFile, SolvedNotes)? {
    guard let file = try read(name(group, "l\(layer).triplets")),
      let notes = file.notes(SolvedNotes.self), notes.reports.count == group.jacobians.count,
      [notes.precisions?.count, notes.certificates?.count].allSatisfy({
        $0 ?? notes.reports.count == notes.reports.count
      })
    else { return nil }
    return (file, notes)
  }

  private static func triplets(
    _ r: Int, _ notes: SolvedNotes, _ file: ArrayFile, hasVectors: Bool
  ) -> SingularTriplets? {
    defer { file.release() }
    let nothing = Matrix<Double>(rows: 0, columns: 0, elements: [])
    guard let report = notes.reports[r], let u = hasVectors ? file.matrix("\(r).U") : nothing,
      let v = hasVectors ? file.matrix("\(r).V") : nothing, let s = file.matrix("\(r).S"),
      let residuals = file.matrix("\(r).residuals")
    else { return nil }
    return SingularTriplets(
      singularValues: s.elements, leftVectors: u, rightVectors: v,
      residualNorms: residuals.elements, report: report,
      further: file.further("\(r).", hasVectors: hasVectors), certificate: notes.certificates?[r])
  }

  func kept(_ group: PromptGroup, layer: Int) throws -> KeptBlock? {
    guard let (file, notes) = try triplets(group, layer: layer) else { return nil }
    let coupled = try couplings(group, at: layer)
    return KeptBlock(
      layer: layer, path: path, seconds: notes.seconds,
      precisions: notes.precisions ?? notes.reports.map { _ in .single },
      noise: notes.noise ?? MeasuredNoise(),
      isSolved: notes.reports.map { $0 != nil },
      readTriplets: { r, hasVectors in
        Self.triplets(r, notes, file, hasVectors: hasVectors)
      }, frobeniusNorms: coupled?.1.frobeniusNorms,
      readCouplings: { r in coupled.flatMap { Self.couplings(r, $0.1, $0.0) } })
  }

  func keep(_ solved: SolvedBlock, _ group: PromptGroup, layer: Int) throws {
    var file = ArrayFile()
    for (r, t) in solved.triplets.enumerated() {
      guard let t else { continue }
      file.append("\(r).U", t.leftVectors)
      file.append("\(r).V", t.rightVectors)
      file.append("\(r).S", Matrix([t.singularValues]))
      file.append("\(r).residuals", Matrix([t.residualNorms]))
      file.append(furtherOf: t, "\(r).")
    }
    let notes = SolvedNotes(
      reports: solved.triplets.map { $0?.report }, seconds: solved.seconds,
      precisions: solved.precisions, noise: solved.noise,
      certificates: solved.triplets.map { $0?.certificate })
    try write(file, to: name(group, "l\(layer).triplets"), notes: notes)
  }

  // MARK: Couplings

  private struct CouplingNotes: Codable {
    let frobeniusNorms: [FrobeniusNorm?]
    let bases: [Int]
    let forms: [CouplingForm]
  }

  func couplings(_ group: PromptGroup, layer: Int) throws -> [JacobianCouplings?]? {
    guard let (file, notes) = try couplings(group, at: layer) else { return nil }
    var result: [JacobianCouplings?] = []
    for (r, norm) in notes.frobeniusNorms.enumerated() {
      let found = Self.couplings(r, notes, file)
      guard norm == nil || found != nil else { return nil }
      result.append(found)
    }
    return result
  }

  private func couplings(
    _ group: PromptGroup, at layer: Int
  ) throws -> (ArrayFile, CouplingNotes)? {
    guard let file = try read(name(group, "l\(layer).coupling")),
      let notes = file.notes(CouplingNotes.self), notes.bases.count == group.jacobians.count,
      notes.frobeniusNorms.count == notes.bases.count
    else { return nil }
    return (file, notes)
  }

  private static func couplings(
    _ r: Int, _ notes: CouplingNotes, _ file: ArrayFile
  ) -> JacobianCouplings? {
    defer { file.release() }
    guard let norm = notes.frobeniusNorms[r], let values = file.matrix("\(r).S")?.elements else {
      return nil
    }
    let k = values.count
    let couplings = { (form: CouplingForm) -> [BlockCoupling]? in
      guard let stacked = file.matrix("\(r).\(form.rawValue)"), stacked.columns == k,
        stacked.rows == notes.bases[r] * k
      else { return nil }
      // Missing in files of earlier versions.
      let grams = file.matrix("\(r).\(form.rawValue).gram")
      guard grams.map({ $0.rows == stacked.rows && $0.columns == k }) ?? true else { return nil }
      return (0..<notes.bases[r]).map { j in
        let part = Array(stacked.elements[j * k * k..<(j + 1) * k * k])
        return BlockCoupling(
          form: form, matrix: Matrix(rows: k, columns: k, elements: part), singularValues: values,
          imageGram: grams.map { $0.rows(j * k..<(j + 1) * k) })
      }
    }
    var found: [CouplingForm: [BlockCoupling]] = [:]
    for form in notes.forms {
      guard let all = couplings(form) else { return nil }
      found[form] = all
    }
    return JacobianCouplings(forms: found, frobeniusNorm: norm)
  }

  func keep(_ couplings: [JacobianCouplings?], _ group: PromptGroup, layer: Int) throws {
    var file = ArrayFile()
    for (r, found) in couplings.enumerated() {
      guard let found else { continue }
      let values = found.any[0].singularValues
      file.append("\(r).S", Matrix([values]))
      for form in CouplingForm.allCases {
        guard let couplings = found.forms[form] else { continue }
        file.append(
          "\(r).\(form.rawValue)", rows: couplings.count * values.count, columns: values.count
        ) { couplings.flatMap(\.matrix.elements) }
        guard couplings.allSatisfy({ $0.imageGram != nil }) else { continue }
        file.append(
          "\(r).\(form.rawValue).gram", rows: couplings.count * values.count,
          columns: values.count
        ) { couplings.flatMap { $0.imageGram?.elements ?? [] } }
      }
    }
    let notes = CouplingNotes(
      frobeniusNorms: couplings.map { $0?.frobeniusNorm },
      bases: couplings.map { $0?.any.count ?? 0 },
      forms: CouplingForm.allCases.filter { form in
        couplings.contains { $0?.forms[form] != nil }
      })
    try write(file, to: name(group, "l\(layer).coupling"), notes: notes)
  }

  // MARK: Paths

  func paths(ofGroup group: PromptGroup) throws -> [PathRecord?]? {
    guard let file = try read(name(group, "paths")),
      let paths = file.notes([PathRecord?].self), paths.count == group.prompts.count
    else { return nil }
    return paths
  }

  func keep(_ paths: [PathRecord?], ofGroup group: PromptGroup) throws {
    try write(ArrayFile(), to: name(group, "paths"), notes: paths)
  }

  func hiddenStates(_ group: PromptGroup) throws -> KeptStates? {
    guard let file = try read(name(group, "states")),
      let counts = file.notes([Int].self), counts.count == group.prompts.count
    else { return nil }
    return KeptStates(layers: counts) { p, l in
      defer { file.release() }
      return file.matrix("\(p).\(l)")?.converted(to: Float.self)
    }
  }

  func keep(hiddenStates: [[Matrix<Float>]], _ group: PromptGroup) throws {
    var file = ArrayFile()
    for (p, states) in hiddenStates.enumerated() {
      // Widening is exact.
      for (l, x) in states.enumerated() {
        file.append("\(p).\(l)", rows: x.rows, columns: x.columns) {
          x.elements.map { Double($0) }
        }
      }
    }
    try write(file, to: name(group, "states"), notes: hiddenStates.map(\.count))
  }

  // MARK: Failures

  func failure(ofPrompt prompt: Int) throws -> LostPrompt? {
    try read(name(ofFailure: prompt))?.notes(LostPrompt.self)
  }

  func keep(_ failure: LostPrompt, ofPrompt prompt: Int) throws {
    try write(ArrayFile(), to: name(ofFailure: prompt), notes: failure)
  }

  private func name(ofFailure prompt: Int) -> String { "p\(prompt).failure.safetensors" }

  private func name(_ group: PromptGroup, _ unit: String) -> String {
    "g\(group.index).\(unit).safetensors"
  }
}
