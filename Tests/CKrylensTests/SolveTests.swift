import CKrylensHeader
import Foundation
import LinearAlgebra
import TestSupport
import Testing

@testable import Analysis

/// Solves and runs through C beside those of the command.
struct SolveTests {
  private static let ids = [1, 5, 7, 3]

  /// The bits of `krylens triplets`, in every precision, also after other products.
  @Test(arguments: ["auto", "single", "double"], ["block", "arpack", "dense"])
  func aSolveFindsTheBitsOfTheCommand(precision: String, solver: String) throws {
    let jacobian = try Library.jacobian(
      #"{"token_ids": [1, 5, 7, 3], "from_layer": 0, "to_layer": 2}"#)
    defer { krylens_jacobian_close(jacobian) }
    let (m, n) = try Library.shape(jacobian)
    var y = [Double](repeating: 0, count: m)
    try Library.check(krylens_jvp_f64(jacobian, 1, Library.numbers(n), n, &y, m))
    var triplets: OpaquePointer?
    try Library.check(
      krylens_solve(
        jacobian, #"{"top": 3, "seed": 4, "solver": "\#(solver)", "precision": "\#(precision)"}"#,
        nil, nil,
        &triplets))
    defer { krylens_triplets_close(triplets) }
    var (s, u, v, r) = (
      [Double](repeating: 0, count: 3), [Double](repeating: 0, count: 3 * m),
      [Double](repeating: 0, count: 3 * n), [Double](repeating: 0, count: 3)
    )
    try Library.check(krylens_triplets_copy(triplets, &s, 3, &u, 3 * m, &v, 3 * n, &r, 3))

    var settings = MapSettings(
      ModelSettings(model: ModelFixture("llama").folder, name: "m", threads: 1))
    (settings.common.seed, settings.map.fromLayer, settings.map.toLayer) = (4, 0, .layer(2))
    settings.solution.top = 3
    settings.solution.solver = try #require(.init(rawValue: solver))
    settings.solution.precision = try #require(.init(rawValue: precision))
    let scratch = try ScratchFolder()
    let run = try MapRun(settings, prompts: [.tokens(Self.ids)])
    let record = try #require(
      try run.run(
        in: MapRun.Folder(scratch["run"], for: try run.manifest()), meter: MemoryMeter()))
    let map = try #require(record.prompts[0].map)
    #expect(s == map.singularValues && r == map.residualNorms)
    let info = try Library.object { krylens_triplets_info(triplets, $0) }
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    var said = try decoder.decode(
      MapRecord.self, from: try Library.json { krylens_triplets_info(triplets, $0) })
    said.seconds = map.seconds
    #expect(try recordJSON(said) == recordJSON(map))
    #expect((info["settings"] as? [String: Any])?["seed"] as? Int == 4)
    // J v = σ u, as the residual norms say.
    var product = [Double](repeating: 0, count: 3 * m)
    try Library.check(krylens_jvp_f64(jacobian, 3, v, 3 * n, &product, 3 * m))
    for k in 0..<3 {
      let off = (0..<m).reduce(0) { $0 + pow(product[k * m + $1] - s[k] * u[k * m + $1], 2) }
      #expect(off.squareRoot() <= r[k] + 1e-5 * s[0])
    }
  }

  /// What a callback hears and does.
  private final class Caller {
    var calls = 0
    var stopsAt = Int.max
    var jacobian: OpaquePointer?
    var answers: [krylens_status] = []
    let thread = pthread_self()
    var isElsewhere = false
  }

  private static let callback: krylens_progress = { context, phase, done, total, _ in
    guard let context, phase != nil else { return 1 }
    let caller = Unmanaged<Caller>.fromOpaque(context).takeUnretainedValue()
    caller.calls += 1
    if pthread_equal(caller.thread, pthread_self()) == 0 || done > total {
      caller.isElsewhere = true
    }
    if let jacobian = caller.jacobian {
      var (x, y) = ([Double](repeating: 0, count: 24), [Double](repeating: 0, count: 24))
      caller.answers.append(krylens_jvp_f64(jacobian, 1, &x, 24, &y, 24))
    }
    return caller.calls >= caller.stopsAt ? 1 : 0
  }

  @Test func theCallbackHearsOfEveryPassAndStops() throws {
    let jacobian = try Library.jacobian(#"{"token_ids": [1, 5, 7, 3], "to_layer": 2}"#)
    defer { krylens_jacobian_close(jacobian) }
    let caller = Caller()
    let context = Unmanaged.passUnretained(caller).toOpaque()
    var triplets: OpaquePointer?
    caller.jacobian = jacobian
    try Library.check(krylens_solve(jacobian, #"{"top": 2}"#, Self.callback, context, &triplets))
    let info = try Library.object { krylens_triplets_info(triplets, $0) }
    #expect(caller.calls >= info["passes"] as? Int ?? .max && !caller.isElsewhere)
    // The Jacobian is in use while its solve asks.
    #expect(caller.answers.allSatisfy { $0 == KRYLENS_BUSY } && !caller.answers.isEmpty)
    krylens_triplets_close(triplets)

    (caller.calls, caller.stopsAt) = (0, 3)
    var none: OpaquePointer?
    #expect(
      krylens_solve(jacobian, #"{"top": 2}"#, Self.callback, context, &none) == KRYLENS_STOPPED)
    #expect(none == nil && caller.calls == 3)
    // And it is free again.
    try Library.check(krylens_solve(jacobian, #"{"top": 2}"#, nil, nil, &none))
    krylens_triplets_close(none)
  }

  /// A run that is stopped and goes on, and one of the command's code: the same files.
  @Test func aRunWritesTheFilesOfTheCommand() throws {
    let scratch = try ScratchFolder()
    let (path, folder) = (ModelFixture("llama").folder, scratch["c"])
    let settings = """
      {"model": "\(path)", "token_ids": [[1, 5, 7, 3], [2, 9]], "top": 4, "ranks": [4, 2], "layers": [3, 1, 1], "form": "both",
       "output": "\(folder)", "threads": 1}
      """
    let caller = Caller()
    let context = Unmanaged.passUnretained(caller).toOpaque()
    caller.stopsAt = 2
    var written: UnsafeMutablePointer<CChar>?
    #expect(krylens_align(settings, Self.callback, context, &written) == KRYLENS_STOPPED)
    #expect(written == nil)
    #expect(String(cString: krylens_last_error()).contains(folder))
    (caller.calls, caller.stopsAt) = (0, .max)
    try Library.check(krylens_align(settings, Self.callback, context, &written))
    #expect(
      String(cString: try #require(written)) == folder && caller.calls > 0 && !caller.isElsewhere)
    krylens_free(written)

    var model = ModelRequest(model: path)
    model.threads = 1
    var request = RunRequest(model)
    (request.top, request.ranks, request.layers, request.form) = (4, [2, 4], [1, 3], .both)
    _ = try AlignmentOutcome(
      try request.settings(), [.tokens(Self.ids), .tokens([2, 9])], into: scratch["swift"],
      progress: nil, meter: MemoryMeter())
    for name in [
      "singular_values.csv", "coupling.csv", "trajectory.csv", "triplets.safetensors",
      "couplings.safetensors",
    ] {
      let files = FileManager.default
      #expect(
        files.contents(atPath: "\(folder)/\(name)")
          == files.contents(atPath: scratch["swift/\(name)"]),
        "\(name)")
      #expect(files.contents(atPath: "\(folder)/\(name)") != nil)
    }
  }
}
