import LinearAlgebra
import Processes

/// Sums over a team of processes that each compute a part of a function, f(x) = Σₛ fₛ(x).
///
/// All members hold the same x and get the same f(x): `fₛ(x.shared(over: team)).summed(over: team, of: …)`. One is the
/// adjoint of the other: forward, the parts' tangents are summed; backwards, their cotangents at x. Megatron-LM calls
/// them g and f: Shoeybi et al., arXiv 1909.08053. Every member must run the same program up to its part.
extension Variable {
  /// x, from which every member of a team computes its own part: the cotangents are summed over the team.
  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  public func shared(over team: any Communicator) -> Variable {
    guard let node else { return self }
    let step = ShareStep<Scalar>(input: node.position, count: count, team: team)
    return node.trace.record(step, rows: rows, columns: columns, value: buffer)
  }

  /// The sum of the members' parts: values and tangents are summed over the team.
  ///
  /// `shared` are the variables that the parts are computed from. A part may be constant in some members, where a slice
  /// is empty; those take part in the sums all the same.
  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  public func summed(over team: any Communicator, of shared: [Variable]) -> Variable {
    let out = Buffer<Scalar>(count: count)
    out.base.update(from: buffer.base, count: count)
    team.sum(out.base, count: count)
    guard let trace = shared.lazy.compactMap(\.node).first?.trace else {
      return Variable(rows: rows, columns: columns, buffer: out)
    }
    let step = SumStep<Scalar>(
      part: position, shared: shared.compactMap(\.position), count: count, team: team)
    return trace.record(step, rows: rows, columns: columns, value: out)
  }
}

/// dy = dx; dx += Σₛ dyₛ.
private struct ShareStep<Scalar: RealScalar>: Primitive {
  let input: Int
  let count: Int
  let team: any Communicator

  var inputs: [Int] { [input] }

  func jvp(_ workspace: Workspace<Scalar>, into out: UnsafeMutablePointer<Scalar>) {
    out.update(from: workspace.slot(input), count: count * workspace.vectors)
  }

  func vjp(_ workspace: Workspace<Scalar>, _ cotangent: UnsafePointer<Scalar>) {
    let all = count * workspace.vectors
    // The step's own slot, which no other step reads after this one.
    let sum = UnsafeMutablePointer(mutating: cotangent)
    team.sum(sum, count: all)
    let (target, accumulating) = workspace.target(of: input)
    addScaled(1, sum, into: target, count: all, accumulating: accumulating)
  }
}

/// dy = Σₛ dxₛ; dx += dy.
private struct SumStep<Scalar: RealScalar>: Primitive {
  /// The member's part; nil if it is constant.
  let part: Int?
  /// The variables that all parts are computed from.
  let shared: [Int]
  let count: Int
  let team: any Communicator

  var inputs: [Int] { (part.map { [$0] } ?? []) + shared }

  func jvp(_ workspace: Workspace<Scalar>, into out: UnsafeMutablePointer<Scalar>) {
    let all = count * workspace.vectors
    if let part {
      out.update(from: workspace.slot(part), count: all)
    } else {
      out.update(repeating: 0, count: all)
    }
    team.sum(out, count: all)
  }

  func vjp(_ workspace: Workspace<Scalar>, _ cotangent: UnsafePointer<Scalar>) {
    if let part {
      let (target, accumulating) = workspace.target(of: part)
      addScaled(
        1, cotangent, into: target, count: count * workspace.vectors, accumulating: accumulating)
    }
    // A part that is constant here leaves zeros, so that this member joins in the sum of cotangents.
    for input in shared { _ = workspace.accumulator(of: input) }
  }
}
