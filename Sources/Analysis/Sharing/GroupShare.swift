import Foundation
import LinearAlgebra
import Processes

/// One team's part in the work on a group of prompts: it takes blocks one by one, and other teams of the group take others.
///
/// The team that has taken a block solves it, keeps its linearizations, carries the path's image through it and computes its
/// couplings. If a prompt fails in one team's solve, blocks above may have been solved with that prompt; the group then goes
/// through another round, in which those are taken and solved again.
final class GroupShare {
  /// The list on which blocks are taken.
  let sharing: any WorkSharing
  /// The blocks that this team has taken in this round.
  private(set) var own: Set<Int> = []
  /// Called now and then while waiting; may throw.
  let pause: () throws -> Void
  private let group: PromptGroup
  private let folder: String
  private let visibility: Visibility
  private(set) var round = 0

  init(
    _ sharing: any WorkSharing, _ group: PromptGroup, folder: String = "the run",
    _ visibility: Visibility = Visibility(), pause: @escaping () throws -> Void = {}
  ) {
    (self.sharing, self.group, self.folder) = (sharing, group, folder)
    (self.visibility, self.pause) = (visibility, pause)
  }

  /// Whether other teams may work on the group too.
  var isShared: Bool { sharing.isShared }

  /// What a team found at a block that it took.
  struct Found: Codable {
    /// The Jacobians that were solved there.
    let jacobians: [Int]
    /// The prompts that failed there, by their positions in the group.
    let lost: [Int: LostPrompt]
  }

  // MARK: Stopping

  /// Says whether another team has failed, if there are others.
  var isStopped: (() -> Bool)? { isShared ? { [sharing] in sharing.isStopped } : nil }

  /// Throws the failure of another team, whose products no longer mean anything.
  func checkStop() throws { if isShared { _ = try sharing.notes(of: []) } }

  // MARK: Taking

  /// Takes a block; false if another team has it.
  func takes(layer: Int) throws -> Bool {
    guard isShared else { return true }
    guard try sharing.claim(name("block \(layer)")) else { return false }
    own.insert(layer)
    return true
  }

  /// Whether this team computed or checked a block.
  func isOwn(layer: Int) -> Bool { !isShared || own.contains(layer) }

  /// Whether this team records the paths of the prompts.
  func takesPaths() throws -> Bool { try !isShared || sharing.claim(name("paths")) }

  /// Says what was found at a block that this team took, after it was kept.
  func finish(layer: Int, _ found: SolvedBlock?, lost: [Int: LostPrompt]) throws {
    guard isShared else { return }
    let note = try JSONEncoder().encode(Found(jacobians: found?.jacobians ?? [], lost: lost))
    try sharing.finish(name("block \(layer)"), note: note)
  }

  /// The name under which it is known that all blocks of a group have been taken.
  static func allTaken(_ group: PromptGroup) -> String { "group \(group.index) is taken" }

  /// Says that all blocks have been taken.
  func allAreTaken() throws {
    if isShared { try sharing.finish(Self.allTaken(group)) }
  }

  /// Begins the next round.
  func beginAgain() {
    round += 1
    own = []
  }

  // MARK: The others' work

  /// What all teams found at these blocks, once they are finished.
  func found(layers: [Int]) throws -> [Found] {
    try sharing.wait(for: layers.map { name("block \($0)") }, pause: pause).map {
      try JSONDecoder().decode(Found.self, from: $0)
    }
  }

  /// A unit of another team, once its file is visible here.
  func visible<Unit>(layer: Int, _ read: () throws -> Unit?) throws -> Unit {
    try visibility.wait(for: "what was found at block \(layer)", in: folder, pause: pause, read)
  }

  // MARK: The image of the path

  /// Passes on the image after a block.
  func post(image: Matrix<Double>, after layer: Int) throws {
    try sharing.finish(
      name("image \(layer)"), note: image.elements.withUnsafeBytes { Data($0) })
  }

  /// The image after a block, with as many columns as `like`; nil if it is not known yet and `waits` is false.
  func image(
    after layer: Int, like: Matrix<Double>, waits: Bool
  ) throws -> Matrix<Double>? {
    let unit = [name("image \(layer)")]
    let note = try waits ? sharing.wait(for: unit, pause: pause)[0] : sharing.notes(of: unit)[0]
    guard let note else { return nil }
    let numbers = [Double](unsafeUninitializedCapacity: like.elements.count) { buffer, count in
      count = note.copyBytes(to: buffer) / MemoryLayout<Double>.stride
    }
    return Matrix(rows: like.rows, columns: like.columns, elements: numbers)
  }

  private func name(_ unit: String) -> String {
    "group \(group.index)" + (round == 0 ? "" : ", round \(round)") + ", \(unit)"
  }
}
