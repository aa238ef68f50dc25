public import Processes

/// What one process hands to the others of its team, in the measure of `Communicator.traffic`.
public struct CommunicationEstimate: Sendable, Codable {
  /// The number of vectors of each Jacobian in one product of the solver.
  public let vectors: Int
  /// The number of Jacobians that are solved together.
  public let jacobians: Int
  /// One product of the solver, in either direction; see `ProductTraffic`.
  public let product: Traffic
  /// One block of a group of prompts: solves with their inner products, and couplings.
  public let block: Traffic
  /// The whole run.
  public let total: Traffic
  /// The seconds of the whole run that are spent on it.
  public let seconds: Double
}

/// The traffic of the largest group of prompts.
struct GroupTraffic: Sendable {
  let products: ProductTraffic
  let cost: SolverCost
  /// The number of solves at a block, each of the Jacobians that are solved together.
  let batches: Int
  /// The traffic of the forward pass through all blocks.
  let walking: Traffic
  /// The traffic of the comparison with another precision at a block.
  let comparing: Traffic
  /// The traffic of the couplings at a block.
  let coupling: Traffic

  /// One product of the solver.
  var product: Traffic { products.distributedProduct(vectors: cost.vectors) }

  /// All work at a block that one team does.
  var unit: Traffic {
    guard products.members > 1 else { return Traffic() }
    return batches * (cost.passes * product + innerProducts) + comparing + coupling
  }

  /// The inner products of a solve. Every pass appends b vectors of each Jacobian to one of its two bases, in turn. What these take
  /// is two products with the n vectors of the basis, and about four b × b matrices.
  private var innerProducts: Traffic {
    let (b, r) = (cost.vectors, products.rows)
    let basis = cost.passes * b / 4  // the mean over the solve
    let numbers = 2 * basis * b + 4 * b * b
    return cost.passes * r * Traffic(calls: 8, bytes: MemoryLayout<Double>.stride * numbers)
  }

  /// The traffic of a process in a run of `work` such groups.
  func estimate(work: Double, blocks: Int, _ layout: ProcessLayout) -> CommunicationEstimate {
    let shared = work / Double(layout.teams)
    let total = walking.scaled(by: max(1, shared)) + unit.scaled(by: shared * Double(blocks))
    return CommunicationEstimate(
      vectors: cost.vectors, jacobians: products.rows, product: product, block: unit, total: total,
      seconds: layout.seconds(of: total))
  }
}

extension Traffic {
  /// A number of times the traffic, rounded.
  fileprivate func scaled(by factor: Double) -> Traffic {
    let times = { (count: Int) in Int(min((factor * Double(count)).rounded(), 0x1p62)) }
    return Traffic(calls: times(calls), bytes: times(bytes))
  }
}
