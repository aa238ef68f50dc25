import Analysis
import CKrylensHeader
import Files
import Foundation
import LinearAlgebra

/// The result of a solve. It is immutable, so that any number of threads may use it.
final class TripletsHandle: HandleObject {
  static let kind = "triplets"
  let triplets: SingularTriplets
  let info: TripletsInfo

  init(_ triplets: SingularTriplets, _ info: TripletsInfo) {
    (self.triplets, self.info) = (triplets, info)
  }

  deinit { returnFreedMemory() }
}

/// The result of `krylens_triplets_info`: the record of `krylens triplets`, and the resolved settings.
struct TripletsInfo: Encodable, Sendable {
  struct Settings: Encodable, Sendable {
    let solution: MapSolution
    let seed: UInt64

    private enum CodingKeys: CodingKey { case seed }

    func encode(to encoder: any Encoder) throws {
      try solution.encode(to: encoder)
      var values = encoder.container(keyedBy: CodingKeys.self)
      try values.encode(seed, forKey: .seed)
    }
  }

  let record: MapRecord
  let settings: Settings

  private enum CodingKeys: CodingKey { case settings }

  func encode(to encoder: any Encoder) throws {
    try record.encode(to: encoder)
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(settings, forKey: .settings)
  }
}

/// Documented in `krylens.h`.
@c @implementation
public func krylens_solve(
  _ jacobian: OpaquePointer?, _ settings: UnsafePointer<CChar>?, _ progress: krylens_progress?,
  _ context: UnsafeMutableRawPointer?, _ triplets: UnsafeMutablePointer<OpaquePointer?>?
) -> krylens_status {
  answer {
    let handle: JacobianHandle = try Handles.object(jacobian)
    let triplets = try output(triplets, "triplets")
    let reader = try SettingsReader(settings)
    var solution = try MapSolution(reader, precision: handle.isDouble ? .double : .auto)
    let seed = try reader.seed(.seed) ?? 0
    try reader.refuseUnknown()
    let problem = handle.problem
    let count = try problem.count(solution)
    solution.top = count
    let decided = problem.decided(solution, count)
    let watch = CallerProgress(
      progress, context, passes: problem.cost(problem.resolved[0], decided, count).passes)
    let task = MapProblem.Task(
      decided, count: count, seed: seed, isCancelled: { watch.stopsPass() })
    let found = try handle.exclusively {
      let known: any LinearOperator =
        switch handle.linearization {
        case .single(let map): map
        case .double(let map): map
        }
      do {
        return try problem.solve(handle.prompts, task, known: known)
      } catch {
        throw watch.isCancelled ? RunError.interrupted(resume: nil) : error
      }
    }
    try problem.loaded.model.source.checkIntact()
    let info = TripletsInfo(
      record: found.record, settings: .init(solution: solution, seed: seed))
    triplets.pointee = Handles.open(TripletsHandle(found.triplets, info))
  }
}

/// Documented in `krylens.h`.
@c @implementation
public func krylens_triplets_close(_ triplets: OpaquePointer?) -> krylens_status {
  answer { try Handles.close(triplets, TripletsHandle.self) }
}

/// Documented in `krylens.h`.
@c @implementation
public func krylens_triplets_info(
  _ triplets: OpaquePointer?, _ json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> krylens_status {
  answer {
    let handle: TripletsHandle = try Handles.object(triplets)
    try output(json, "json").pointee = try returned(json: handle.info)
  }
}

/// Documented in `krylens.h`.
@c @implementation
public func krylens_triplets_shape(
  _ triplets: OpaquePointer?, _ count: UnsafeMutablePointer<Int64>?,
  _ outputs: UnsafeMutablePointer<Int64>?, _ inputs: UnsafeMutablePointer<Int64>?
) -> krylens_status {
  answer {
    let handle: TripletsHandle = try Handles.object(triplets)
    count?.pointee = Int64(handle.triplets.singularValues.count)
    outputs?.pointee = Int64(handle.triplets.leftVectors.columns)
    inputs?.pointee = Int64(handle.triplets.rightVectors.columns)
  }
}

/// Documented in `krylens.h`.
@c @implementation
public func krylens_triplets_copy(
  _ triplets: OpaquePointer?, _ s: UnsafeMutablePointer<Double>?, _ s_count: Int,
  _ u: UnsafeMutablePointer<Double>?, _ u_count: Int, _ v: UnsafeMutablePointer<Double>?,
  _ v_count: Int, _ residual_norms: UnsafeMutablePointer<Double>?, _ residual_count: Int
) -> krylens_status {
  answer {
    let handle: TripletsHandle = try Handles.object(triplets)
    let found = handle.triplets
    let arrays = [
      ("s", s, s_count, found.singularValues), ("u", u, u_count, found.leftVectors.elements),
      ("v", v, v_count, found.rightVectors.elements),
      ("residual_norms", residual_norms, residual_count, found.residualNorms),
    ]
    // All lengths are checked before anything is written.
    for (name, target, count, numbers) in arrays where target != nil && count != numbers.count {
      throw Failure.argument(
        "\(name) has room for \(UInt(bitPattern: count)) numbers; \(numbers.count) are needed")
    }
    for (_, target, _, numbers) in arrays {
      guard let target else { continue }
      numbers.withUnsafeBytes {
        guard let source = $0.baseAddress else { return }
        UnsafeMutableRawPointer(target).copyMemory(from: source, byteCount: $0.count)
      }
    }
  }
}
