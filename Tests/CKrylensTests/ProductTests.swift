import CKrylensHeader
import TestSupport
import Testing

/// Products through C.
struct ProductTests {
  private static let maps = [
    #"{"token_ids": [1, 5, 7, 3], "to_layer": 1}"#,
    #"{"token_ids": [1, 5, 7, 3], "from_layer": 0, "to_layer": "logits", "from_token": "all"}"#,
    #"{"token_ids": [1, 5, 7, 3], "to_layer": 2, "from_token": [0, -1], "to_token": "all", "reduce": "mean"}"#,
    #"{"token_ids": [[1, 5, 7], [2, 9]], "to_layer": 2}"#,
    #"{"token_ids": [1, 5, 7, 3], "to_layer": 2, "precision": "double"}"#,
  ]

  /// ⟨J v, u⟩ = ⟨v, Jᵀ u⟩ up to 10⁻⁴ of the norms, as solvers demand.
  @Test(arguments: maps) func theAdjointBelongsToIt(map: String) throws {
    let jacobian = try Library.jacobian(map)
    defer { krylens_jacobian_close(jacobian) }
    let (m, n) = try Library.shape(jacobian)
    let (v, u) = (Library.numbers(n), Array(Library.numbers(m).reversed()))
    var (y, x) = ([Double](repeating: .nan, count: m), [Double](repeating: .nan, count: n))
    try Library.check(krylens_jvp_f64(jacobian, 1, v, n, &y, m))
    try Library.check(krylens_vjp_f64(jacobian, 1, u, m, &x, n))
    let dot = { (a: [Double], b: [Double]) in zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
    let size = (dot(y, y) * dot(u, u)).squareRoot() + (dot(v, v) * dot(x, x)).squareRoot()
    #expect(abs(dot(y, u) - dot(v, x)) <= 1e-4 * size && size > 0)
  }

  /// Floats are the same numbers on the way in, and rounded once on the way out.
  @Test(arguments: maps) func floatsAndDoublesAgree(map: String) throws {
    let jacobian = try Library.jacobian(map)
    defer { krylens_jacobian_close(jacobian) }
    let (m, n) = try Library.shape(jacobian)
    let floats = Library.numbers(3 * n).map { Float($0) }
    var y = [Float](repeating: .nan, count: 3 * m)
    var precise = [Double](repeating: .nan, count: 3 * m)
    try Library.check(krylens_jvp_f32(jacobian, 3, floats, 3 * n, &y, 3 * m))
    try Library.check(krylens_jvp_f64(jacobian, 3, floats.map(Double.init), 3 * n, &precise, 3 * m))
    #expect(y == precise.map { Float($0) })
  }

  /// One by one or 70 at once, which are three passes: the same bits.
  @Test func manyVectorsAreAsOne() throws {
    let jacobian = try Library.jacobian(Self.maps[0])
    defer { krylens_jacobian_close(jacobian) }
    let (m, n) = try Library.shape(jacobian)
    let v = Library.numbers(70 * n)
    var y = [Double](repeating: .nan, count: 70 * m)
    try Library.check(krylens_jvp_f64(jacobian, 70, v, 70 * n, &y, 70 * m))
    for i in 0..<70 {
      var one = [Double](repeating: .nan, count: m)
      try Library.check(krylens_jvp_f64(jacobian, 1, Array(v[i * n..<(i + 1) * n]), n, &one, m))
      #expect(one == Array(y[i * m..<(i + 1) * m]))
    }
  }

  @Test func theMessageNamesTheNumber() throws {
    let jacobian = try Library.jacobian(Self.maps[0])
    defer { krylens_jacobian_close(jacobian) }
    let (m, n) = try Library.shape(jacobian)
    var v = Library.numbers(2 * n)
    v[n + 3] = .nan
    var y = [Double](repeating: 0, count: 2 * m)
    #expect(krylens_jvp_f64(jacobian, 2, v, 2 * n, &y, 2 * m) == KRYLENS_INVALID_ARGUMENT)
    #expect(String(cString: krylens_last_error()).contains("vector 1, entry 3 is nan"))
    #expect(y.allSatisfy { $0 == 0 })
  }
}
