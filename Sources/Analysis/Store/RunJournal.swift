import Alignment
import LinearAlgebra

/// The finished units of a run, so that they need not be computed again.
///
/// A unit is the triplets of a group's Jacobians at one block, their couplings, the group's paths, or a prompt's failure.
protocol RunJournal: AnyObject {
  /// The triplets of a block's Jacobians, if they are known.
  func solved(_ group: PromptGroup, layer: Int) throws -> SolvedBlock?
  /// Keeps these results.
  func keep(_ solved: SolvedBlock, _ group: PromptGroup, layer: Int) throws
  /// The couplings of a block's Jacobians, if they are known.
  func couplings(_ group: PromptGroup, layer: Int) throws -> [JacobianCouplings?]?
  /// Keeps these results.
  func keep(_ couplings: [JacobianCouplings?], _ group: PromptGroup, layer: Int) throws
  /// What is known about a block's Jacobians, to be read one by one; nil until its triplets are known.
  func kept(_ group: PromptGroup, layer: Int) throws -> KeptBlock?
  /// The prompts' paths, if they are known; nil for a prompt that failed on the way.
  func paths(ofGroup group: PromptGroup) throws -> [PathRecord?]?
  /// Keeps these results.
  func keep(_ paths: [PathRecord?], ofGroup group: PromptGroup) throws
  /// Why a prompt of the run failed; nil if it did not.
  func failure(ofPrompt prompt: Int) throws -> LostPrompt?
  /// Keeps this failure.
  func keep(_ failure: LostPrompt, ofPrompt prompt: Int) throws
  /// X⁰ … X^L of every prompt, if they were kept; none for a prompt that failed on the way.
  func hiddenStates(_ group: PromptGroup) throws -> KeptStates?
  /// Keeps these results.
  func keep(hiddenStates: [[Matrix<Float>]], _ group: PromptGroup) throws
}

/// The triplets of all Jacobians of a group at one block.
struct SolvedBlock: Sendable {
  /// One per Jacobian; nil for a Jacobian whose prompt has failed.
  let triplets: [SingularTriplets?]
  /// The seconds of the solve per Jacobian.
  let seconds: Double
  /// The precision of the products that measured the residual norms, one per Jacobian.
  let precisions: [ProductPrecision]
  /// The noise of those products.
  let noise: MeasuredNoise

  init(
    triplets: [SingularTriplets?], seconds: Double, precisions: [ProductPrecision]? = nil,
    noise: MeasuredNoise? = nil
  ) {
    (self.triplets, self.seconds) = (triplets, seconds)
    self.precisions = precisions ?? triplets.map { _ in .single }
    self.noise = noise ?? MeasuredNoise()
  }

  /// The Jacobians that have triplets.
  var jacobians: [Int] { triplets.indices.filter { triplets[$0] != nil } }
}

/// X⁰ … X^L of a group's prompts, read one by one.
struct KeptStates {
  /// The number of states per prompt.
  let layers: [Int]
  /// Reads the states of a prompt at a depth.
  let read: (_ prompt: Int, _ layer: Int) -> Matrix<Float>?
}

/// What is known about a prompt once it has gone through all blocks.
struct PathRecord: Codable, Sendable {
  /// The paths of all its tokens.
  let trajectory: TrajectoryRecord
  /// The most likely next token, in models that predict tokens.
  let nextTokenId: Int?
  /// The text of that token.
  let nextToken: String?
}

/// A journal in memory.
final class MemoryJournal: RunJournal {
  private struct Unit: Hashable {
    let group: Int
    let layer: Int
  }

  private var solved: [Unit: SolvedBlock] = [:]
  private var couplings: [Unit: [JacobianCouplings?]] = [:]
  private var paths: [Int: [PathRecord?]] = [:]
  private var failures: [Int: LostPrompt] = [:]
  private var states: [Int: [[Matrix<Float>]]] = [:]

  func solved(_ group: PromptGroup, layer: Int) -> SolvedBlock? {
    solved[Unit(group: group.index, layer: layer)]
  }

  func keep(_ block: SolvedBlock, _ group: PromptGroup, layer: Int) {
    solved[Unit(group: group.index, layer: layer)] = block
  }

  func couplings(_ group: PromptGroup, layer: Int) -> [JacobianCouplings?]? {
    couplings[Unit(group: group.index, layer: layer)]
  }

  func keep(_ found: [JacobianCouplings?], _ group: PromptGroup, layer: Int) {
    couplings[Unit(group: group.index, layer: layer)] = found
  }

  func kept(_ group: PromptGroup, layer: Int) -> KeptBlock? {
    solved(group, layer: layer).map { KeptBlock($0, couplings(group, layer: layer), layer: layer) }
  }

  func paths(ofGroup group: PromptGroup) -> [PathRecord?]? { paths[group.index] }

  func keep(_ found: [PathRecord?], ofGroup group: PromptGroup) { paths[group.index] = found }

  func failure(ofPrompt prompt: Int) -> LostPrompt? { failures[prompt] }

  func keep(_ failure: LostPrompt, ofPrompt prompt: Int) { failures[prompt] = failure }

  func hiddenStates(_ group: PromptGroup) -> KeptStates? {
    states[group.index].map { states in
      KeptStates(layers: states.map(\.count)) { p, l in states[p][l] }
    }
  }

  func keep(hiddenStates: [[Matrix<Float>]], _ group: PromptGroup) {
    states[group.index] = hiddenStates
  }
}
