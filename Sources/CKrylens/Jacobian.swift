import Analysis
import Autodiff
import CKrylensHeader
import Files
import LinearAlgebra
import Model
import Synchronization
import Weights

/// A linearized map with the memory of its products, for one thread at a time.
///
/// The linearization is used only within `exclusively`, so that different threads may use the object in turn.
final class JacobianHandle: HandleObject, @unchecked Sendable {
  static let kind = "jacobian"

  /// A linearization in single or double precision.
  enum Precise {
    case single(Linearization<Float>)
    case double(Linearization<Double>)
  }

  let problem: MapProblem
  let linearization: Precise
  /// The indices of the prompts that the map is averaged over; a single one for the map of one prompt.
  let prompts: [Int]
  let outputs: Int
  let inputs: Int
  /// The largest number of vectors in one pass over the weights, limited so that memory is bounded and a product does not
  /// depend on the number of vectors.
  private let width: Int
  private let isBusy = Atomic(false)

  /// The most bytes of workspace in a pass of several vectors.
  private static let passBytes = 1 << 30

  /// Linearizes a map. Throws as `linearize` does.
  init(_ problem: MapProblem, isDouble: Bool) throws {
    self.problem = problem
    prompts = Array(problem.resolved.indices)
    let prompts = prompts
    linearization = try problem.loaded.engine.use {
      isDouble
        ? .double(try problem.linearized(prompts, as: Double.self))
        : .single(try problem.linearized(prompts, as: Float.self))
    }
    (outputs, inputs) = (problem.resolved[0].outputDimension, problem.resolved[0].inputDimension)
    let bytes =
      switch linearization {
      case .single(let map): map.workspaceBytes(vectors: 1)
      case .double(let map): map.workspaceBytes(vectors: 1)
      }
    width = max(1, min(Engine.independentVectors, Self.passBytes / max(bytes, 1)))
  }

  deinit { returnFreedMemory() }

  /// Whether products are computed in double precision.
  var isDouble: Bool { if case .double = linearization { true } else { false } }

  /// Runs `body` as the only user of the linearization. Throws `Failure` if there is another.
  func exclusively<Result>(_ body: () throws -> Result) throws -> Result {
    guard !isBusy.exchange(true, ordering: .acquiring) else {
      throw Failure(
        KRYLENS_BUSY,
        "another thread is using the jacobian; wait for it, or open one for each thread")
    }
    defer { isBusy.store(false, ordering: .releasing) }
    return try problem.loaded.engine.use(body)
  }

  /// The products of `vectors` vectors, stored one after another. Throws `Failure` for products that are not finite, and
  /// `FileError` if the model's files changed.
  func multiply<Outer: RealScalar>(
    _ direction: ProductDirection, _ v: UnsafeBufferPointer<Outer>,
    into y: UnsafeMutableBufferPointer<Outer>, vectors: Int
  ) throws {
    let (from, to) = direction == .forward ? (inputs, outputs) : (outputs, inputs)
    for start in stride(from: 0, to: vectors, by: width) {
      let b = min(width, vectors - start)
      let source = UnsafeBufferPointer(rebasing: v[start * from..<(start + b) * from])
      let target = UnsafeMutableBufferPointer(rebasing: y[start * to..<(start + b) * to])
      var span = target.mutableSpan
      switch linearization {
      case .single(let map): map.product(direction, source.span, into: &span, vectors: b)
      case .double(let map): map.product(direction, source.span, into: &span, vectors: b)
      }
    }
    try problem.loaded.model.source.checkIntact()
    guard allFinite(UnsafeBufferPointer(y)) else {
      throw Failure(KRYLENS_FAILED, "\(OperatorError.notFinite(direction, member: 0))")
    }
  }
}

/// Documented in `krylens.h`.
@c @implementation
public func krylens_jacobian_open(
  _ model: OpaquePointer?, _ settings: UnsafePointer<CChar>?,
  _ jacobian: UnsafeMutablePointer<OpaquePointer?>?
) -> krylens_status {
  answer {
    let handle: ModelHandle = try Handles.object(model)
    let jacobian = try output(jacobian, "jacobian")
    let reader = try SettingsReader(settings)
    let inputs = try reader.prompts()
    var common = handle.open.settings
    common.encoderPrompt = try reader.text(.encoderPrompt)
    common.encoderTokenIds = try reader.integers(.encoderTokenIds)
    var selection = try MapSelection(reader)
    selection.average = inputs.count > 1
    let precision: ProductPrecision = try reader.choice(.precision) ?? .single
    try reader.refuseUnknown()
    let open = try handle.open.reading(inputs)
    let loaded = try LoadedModel(open, common, prompts: inputs)
    let problem = try MapProblem(selection, of: loaded)
    let linearized = try JacobianHandle(problem, isDouble: precision == .double)
    try loaded.model.source.checkIntact()
    jacobian.pointee = Handles.open(linearized)
  }
}

/// Documented in `krylens.h`.
@c @implementation
public func krylens_jacobian_close(_ jacobian: OpaquePointer?) -> krylens_status {
  answer { try Handles.close(jacobian, JacobianHandle.self) }
}

/// Documented in `krylens.h`.
@c @implementation
public func krylens_jacobian_info(
  _ jacobian: OpaquePointer?, _ json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> krylens_status {
  answer {
    let handle: JacobianHandle = try Handles.object(jacobian)
    try output(json, "json").pointee = try returned(json: JacobianInfo(handle))
  }
}

/// Documented in `krylens.h`.
@c @implementation
public func krylens_jacobian_shape(
  _ jacobian: OpaquePointer?, _ outputs: UnsafeMutablePointer<Int64>?,
  _ inputs: UnsafeMutablePointer<Int64>?
) -> krylens_status {
  answer {
    let handle: JacobianHandle = try Handles.object(jacobian)
    outputs?.pointee = Int64(handle.outputs)
    inputs?.pointee = Int64(handle.inputs)
  }
}

/// The result of `krylens_jacobian_info`.
private struct JacobianInfo: Encodable {
  let shape: [Int]
  let fromLayer: Int
  let toLayer: MapEnd
  @Nullable var logits: [Int]?
  @Nullable var fromTokens: [Int]?
  @Nullable var toTokens: [Int]?
  @Nullable var tokenIds: [Int]?
  @Nullable var tokens: [String?]?
  let tied: Bool
  let reduce: JacobianMap.Reduction
  let site: JacobianSite
  @Nullable var head: Int?
  @Nullable var expert: Int?
  let linearization: LinearizationKind
  let path: JacobianMap.Path
  let identitySubtracted: Bool
  let precision: ProductPrecision
  let prompts: [PromptEntry]
  let notes: [String]

  init(_ handle: JacobianHandle) {
    let (problem, all) = (handle.problem, handle.prompts)
    let (selection, map) = (problem.selection, problem.resolved[0])
    shape = [handle.outputs, handle.inputs]
    (fromLayer, toLayer) = (map.map.fromLayer, MapEnd(map.map.to))
    _logits = Nullable(wrappedValue: selection.logits)
    _fromTokens = Nullable(wrappedValue: problem.common(all, \.fromTokens))
    _toTokens = Nullable(wrappedValue: problem.common(all, \.toTokens))
    prompts = problem.loaded.prompts.map { PromptEntry($0, in: problem.loaded) }
    let only = prompts.count == 1 ? prompts[0] : nil
    _tokenIds = Nullable(wrappedValue: only?.tokenIds)
    _tokens = Nullable(wrappedValue: only?.tokens)
    (tied, reduce, site) = (selection.tied, selection.reduce, selection.partSite)
    _head = Nullable(wrappedValue: selection.head)
    _expert = Nullable(wrappedValue: selection.expert)
    (linearization, path) = (selection.linearization, selection.path)
    identitySubtracted = map.subtractsIdentity
    precision = handle.isDouble ? .double : .single
    notes = problem.loaded.notes
  }
}
