import LinearAlgebra

/// The pairing of a head's features in a rotary embedding.
public enum RotaryPairing: Sendable {
  /// (i, i + half): GPT-NeoX, and Llama as stored by Hugging Face.
  case split
  /// (2i, 2i + 1): GPT-J, and Llama as stored by llama.cpp.
  case interleaved
}

/// The angles of a rotary embedding at given positions: cos and sin (half, rows), for `half` pairs of features per
/// head.
///
/// Su et al., arXiv 2104.09864.
public struct RotaryAngles<Scalar: RealScalar> {
  let cosines: Buffer<Scalar>
  let sines: Buffer<Scalar>
  let half: Int
  let pairing: RotaryPairing
  private let positions: [Int]
  private let frequencies: [[Double]]
  private let scale: Double

  /// The angles position · frequency for every position (one per row) and frequency (one per pair), with cos and sin
  /// multiplied by `scale`.
  public init(
    positions: [Int], frequencies: [Double], pairing: RotaryPairing, scale: Double = 1
  ) {
    self.init(
      positions: positions, frequencies: Array(repeating: frequencies, count: positions.count),
      pairing: pairing, scale: scale)
  }

  /// The same angles, but with separate frequencies for each row, equally many in all.
  public init(
    positions: [Int], frequencies: [[Double]], pairing: RotaryPairing, scale: Double = 1
  ) {
    half = frequencies.first?.count ?? 0
    self.pairing = pairing
    self.positions = positions
    self.frequencies = frequencies
    self.scale = scale
    let angles = (0..<half).flatMap { i in
      zip(positions, frequencies).map { Double($0) * $1[i] }
    }
    (cosines, sines) = (Buffer(count: angles.count), Buffer(count: angles.count))
    for (i, angle) in angles.enumerated() {
      cosines.base[i] = Scalar(scale * Double.cos(angle))
      sines.base[i] = Scalar(scale * Double.sin(angle))
    }
  }

  /// y ← y + (R − R₀) b in every row: the difference between rotating b by its position's R and by R₀ of position 0.
  ///
  /// It uses cos α − 1 = −2 sin²(α/2), so that the large part of b that hardly moves is never formed.
  fileprivate func displace(_ y: UnsafeMutablePointer<Scalar>, by b: [Scalar], heads: Int) {
    let rows = positions.count
    for h in 0..<heads {
      for pair in 0..<half {
        let (first, second) = features(of: pair, from: h * (b.count / heads))
        let (x1, x2) = (Double(b[first]), Double(b[second]))
        for r in 0..<rows {
          let angle = Double(positions[r]) * frequencies[r][pair]
          let sine = Double.sin(angle / 2)
          let (change, turn) = (-2 * sine * sine, Double.sin(angle))
          y[first * rows + r] += Scalar(scale * (change * x1 - turn * x2))
          y[second * rows + r] += Scalar(scale * (change * x2 + turn * x1))
        }
      }
    }
  }

  /// The two features of a pair of the head that starts at feature `head`.
  fileprivate func features(of pair: Int, from head: Int) -> (first: Int, second: Int) {
    let first = head + (pairing == .split ? pair : 2 * pair)
    return (first, pairing == .split ? first + half : first + 1)
  }
}

extension Variable {
  /// The first 2 · half features of every head, rotated pair by pair; the rest of a head is unchanged.
  ///
  /// `bias` was left out of every row x: the result is R (x + bias) − R₀ bias, where R₀ is the rotation of position
  /// 0. Keys may be given in this form, since soft-max depends on differences only.
  public func rotated(
    by angles: RotaryAngles<Scalar>, heads: Int, bias: [Scalar]? = nil
  ) -> Variable {
    precondition(bias == nil || bias!.count == columns, "one number per feature")
    precondition(columns % heads == 0, "the heads must divide the features evenly")
    let step = RotaryStep(
      input: position, rows: rows, heads: heads, headDimension: columns / heads, angles: angles)
    precondition(2 * angles.half <= step.headDimension, "a head has fewer pairs than the angles")
    precondition(angles.cosines.count == angles.half * rows, "one position per row")
    let out = Buffer<Scalar>(count: count)
    step.rotate(buffer.base, into: out.base, tangents: 1, sign: 1, accumulating: false)
    if let bias { angles.displace(out.base, by: bias, heads: heads) }
    guard let node else { return Variable(rows: rows, columns: columns, buffer: out) }
    return node.trace.record(step, rows: rows, columns: columns, value: out)
  }
}

/// A linear map: the tangent is rotated in the same way, the cotangent back.
struct RotaryStep<Scalar: RealScalar>: Primitive {
  let input: Int?
  let rows: Int
  let heads: Int
  let headDimension: Int
  let angles: RotaryAngles<Scalar>

  var inputs: [Int] { input.map { [$0] } ?? [] }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func jvp(_ workspace: Workspace<Scalar>, into out: UnsafeMutablePointer<Scalar>) {
    guard let input else { return }
    rotate(
      workspace.slot(input), into: out, tangents: workspace.vectors, sign: 1, accumulating: false)
  }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func vjp(_ workspace: Workspace<Scalar>, _ cotangent: UnsafePointer<Scalar>) {
    guard let input else { return }
    let (target, accumulating) = workspace.target(of: input)
    rotate(
      cotangent, into: target, tangents: workspace.vectors, sign: -1, accumulating: accumulating)
  }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func rotate(
    _ x: UnsafePointer<Scalar>, into y: UnsafeMutablePointer<Scalar>, tangents b: Int, sign: Scalar,
    accumulating: Bool
  ) {
    let half = angles.half
    let (cosines, sines) = (angles.cosines.base, angles.sines.base)
    for h in 0..<heads {
      let head = h * headDimension
      for pair in 0..<half {
        let (first, second) = angles.features(of: pair, from: head)
        // The pair's two features, all rows: (rows, b).
        let (i, j) = (first * rows * b, second * rows * b)
        let (cosine, sine) = (cosines + pair * rows, sines + pair * rows)
        for row in 0..<rows {
          let k = row * b
          rotatePair(
            cosine[row], sign * sine[row], x + i + k, x + j + k, into: y + i + k, y + j + k, b,
            accumulating)
        }
      }
      let rest = (head + 2 * half) * rows * b
      addScaled(
        1, x + rest, into: y + rest, count: (headDimension - 2 * half) * rows * b,
        accumulating: accumulating)
    }
  }
}
