import Alignment
import Autodiff
import Lanczos
import LinearAlgebra
import Model

/// The first pass of a group of prompts through the blocks: hidden states, and at each block the Jacobians' triplets.
///
/// A block's linearization is kept, without its workspace, for the second pass: a few vectors of the block's widths and the
/// keys and values its attention saw, so no block is evaluated twice.
struct SolvePass {
  /// For every linearized block, one triplets a prompt, and how long the solve took for each.
  private(set) var triplets: [[SingularTriplets]] = []
  private(set) var solveSeconds: [Double] = []
  /// One a linearized block, its rows the prompts.
  private(set) var jacobians: [Linearization<Float>] = []
  /// One a prompt.
  private(set) var trajectories: [TrajectoryAccumulator]
  /// (I + J^L) ⋯ (I + J¹) x⁰ and x^L of the selected token, one row a prompt, when the plan covers the path.
  private(set) var linearisedPath: (image: Matrix<Double>, final: Matrix<Double>)?
  /// The likeliest next token of every prompt, in models that predict tokens.
  private(set) var nextTokens: [Int]?
  /// X⁰ … X^L of every prompt, if they are to be saved.
  private(set) var hiddenStates: [[Matrix<Float>]]

  /// Runs the pass; `step` hears of every block that is done and may throw.
  init(
    _ model: some Transformer, prompts: [ModelInput], selections: [TokenSelection], plan: SolvePlan,
    saveHiddenStates: Bool, step: (Int) throws -> Void
  ) throws {
    let everyone = Array(prompts.indices)
    trajectories = everyone.map { _ in TrajectoryAccumulator() }
    hiddenStates = everyone.map { _ in [] }
    var states = try HiddenStates<Float>(inputs: prompts, in: model)
    let observe = { (pass: inout SolvePass, states: HiddenStates<Float>) throws in
      for p in everyone {
        let x = states.states(ofPrompt: p)
        try pass.trajectories[p].append(x)
        if saveHiddenStates { pass.hiddenStates[p].append(x) }
      }
    }
    try observe(&self, states)
    // y ← (I + J^l) y along the way.
    var path = plan.coversPath ? Self.selected(states, selections) : nil
    for l in 1...model.description.layers {
      model.advise(.willNeed, block: l)  // the next one, while this one is worked on
      let point = try states.advance(through: model)
      if plan.layers.contains(l) {
        let linearize = { (members: [Int]) in
          residualJacobian(
            model, at: point, members.map { ($0, selections[$0]) }, site: plan.site,
            normed: l == plan.normedLayer)
        }
        let all = linearize(everyone)
        let start = monotonicSeconds()
        triplets.append(try Self.solve(all, everyone, linearize, plan))
        solveSeconds.append((monotonicSeconds() - start) / Double(everyone.count))
        if let y = path { path = y + Self.applied(all, y) }
        all.releaseWorkspace()
        jacobians.append(all)
      }
      try observe(&self, states)
      model.advise(.dontNeed, block: l - 1)
      try step(l)
    }
    if let path { linearisedPath = (path, Self.selected(states, selections)) }
    nextTokens = states.logits(of: model).map { logits in
      everyone.map { p in logits.row(p).enumerated().max { $0.element < $1.element }!.offset }
    }
  }

  /// The block solver takes all prompts in lockstep; the others one after another.
  private static func solve(
    _ all: Linearization<Float>, _ everyone: [Int],
    _ linearize: @escaping ([Int]) -> Linearization<Float>, _ plan: SolvePlan
  ) throws -> [SingularTriplets] {
    let solver = plan.solver.solver(tolerance: plan.tolerance, seed: plan.seed)
    if everyone.count > 1, plan.top < all.inputShape.columns - 1,
      let lockstep = solver as? BlockLanczosSolver
    {
      return try lockstep.partialSVDs(of: LockstepJacobian(all, linearize), count: plan.top)
    }
    return try everyone.map { p in
      // With one prompt the row is the whole.
      let a = everyone.count == 1 ? all : linearize([p])
      return try solver.partialSVD(of: a, count: plan.top)
    }
  }

  private static func selected(
    _ states: HiddenStates<Float>, _ selections: [TokenSelection]
  ) -> Matrix<Double> {
    Matrix(
      selections.enumerated().map { p, selection in
        states.states(ofPrompt: p).row(selection.target).map { Double($0) }
      })
  }

  /// Row r of `v` through row r's Jacobian.
  private static func applied(_ a: Linearization<Float>, _ v: Matrix<Double>) -> Matrix<Double> {
    var y = v
    var span = y.elements.mutableSpan
    a.applyRows(v.elements.span, into: &span, vectors: 1)
    return y
  }
}

private func + (a: Matrix<Double>, b: Matrix<Double>) -> Matrix<Double> {
  Matrix(rows: a.rows, columns: a.columns, elements: zip(a.elements, b.elements).map { $0 + $1 })
}
