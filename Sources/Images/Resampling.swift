/// How an image is scaled; the raw values are Pillow's.
public enum Resampling: Int, Sendable, CaseIterable {
  /// The nearest pixel.
  case nearest = 0
  /// The triangular kernel 1 − |x|, two pixels wide.
  case bilinear = 2
  /// The cubic kernel with the parameter a = −1/2, four pixels wide. Keys, *IEEE Trans. ASSP* 29 (1981), 1153.
  case bicubic = 3

  /// The half-width of the kernel in pixels.
  fileprivate var support: Double { self == .bicubic ? 2 : 1 }

  /// The kernel at x ≥ 0.
  fileprivate func kernel(_ x: Double) -> Double {
    let a = -0.5
    if x >= support { return 0 }
    if self == .bilinear { return 1 - x }
    return x < 1
      ? ((a + 2) * x - (a + 3)) * x * x + 1
      : ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
  }
}

/// For each pixel of a scaled line, the pixels of the original line that contribute to it, and their weights.
///
/// When an image shrinks, the kernel is stretched so that it covers all pixels that become one. As in Pillow, bit for bit,
/// weights are in units of 2⁻²² and the image between the two passes is rounded to 8 bits.
private struct LineWeights {
  static let fractionBits = 22
  /// The first contributing pixel of each scaled pixel.
  var starts: [Int] = []
  /// The weights of scaled pixel i are `weights[ends[i − 1]..<ends[i]]`.
  var ends: [Int] = []
  var weights: [Int] = []

  init(from source: Int, to target: Int, _ resampling: Resampling) {
    let scale = Double(source) / Double(target)
    let stretch = max(scale, 1)
    let support = resampling.support * stretch
    for i in 0..<target {
      let centre = (Double(i) + 0.5) * scale
      let first = max(Int(centre - support + 0.5), 0)
      let end = min(Int(centre + support + 0.5), source)
      let values = (first..<end).map {
        resampling.kernel(abs((Double($0) - centre + 0.5) * (1 / stretch)))
      }
      let sum = values.reduce(0, +)
      let unit = Double(1 << Self.fractionBits)
      weights += values.map { Int(($0 / sum * unit).rounded(.toNearestOrAwayFromZero)) }
      starts.append(first)
      ends.append(weights.count)
    }
  }
}

extension RGBImage {
  /// The size in bytes of the larger of the two images that `resized` makes: the result, and the image between the two
  /// passes. nil if it overflows an integer.
  public func bytesToResize(width w: Int, height h: Int) -> Int? {
    let between = scalesColumnsFirst(width: w, height: h) ? (width, h) : (w, height)
    let counts = [between, (w, h)].map { $0.0.multipliedReportingOverflow(by: $0.1) }
    guard !counts.contains(where: \.overflow) else { return nil }
    let bytes = max(counts[0].partialValue, counts[1].partialValue)
      .multipliedReportingOverflow(by: 3)
    return bytes.overflow ? nil : bytes.partialValue
  }

  /// The image scaled to this size, rows and columns separately. The bytes are those of `resize` in Pillow 13.
  ///
  /// Precondition: both sides are at least 1.
  public func resized(width w: Int, height h: Int, _ resampling: Resampling) -> RGBImage {
    precondition(w > 0 && h > 0, "sides must be at least 1")
    if resampling == .nearest { return picked(width: w, height: h) }
    return scalesColumnsFirst(width: w, height: h)
      ? scaledColumns(to: h, resampling).scaledRows(to: w, resampling)
      : scaledRows(to: w, resampling).scaledColumns(to: h, resampling)
  }

  /// Whether columns are scaled first: if they lose more than twice as many pixels as rows do. The image between the passes
  /// is rounded, so the order affects the result.
  ///
  /// The rule is inferred: Pillow 13 is known to have one of this kind (python-pillow/Pillow, pull request 9549), and this
  /// rule reproduced its bytes for all of 3000 pairs of sizes, a third of them at the rule's threshold. Before version 13,
  /// Pillow scaled rows first, except in images more than a hundred times as high as wide.
  private func scalesColumnsFirst(width w: Int, height h: Int) -> Bool {
    h < height && height - h > 2 * (width - w)
  }

  private func picked(width w: Int, height h: Int) -> RGBImage {
    // Pillow steps from centre to centre by addition, so that rounding errors decide some pixels.
    func places(_ source: Int, _ target: Int) -> [Int] {
      let scale = Double(source) / Double(target)
      var centre = scale * 0.5
      return (0..<target).map { _ in
        defer { centre += scale }
        return min(Int(centre), source - 1)
      }
    }
    let columns = places(width, w)
    var picked: [UInt8] = []
    picked.reserveCapacity(3 * w * h)
    for y in places(height, h) {
      for x in columns {
        let from = 3 * (y * width + x)
        picked += pixels[from..<from + 3]
      }
    }
    return RGBImage(width: w, height: h, pixels: picked)
  }

  private func scaledRows(to w: Int, _ resampling: Resampling) -> RGBImage {
    guard w != width else { return self }
    let line = LineWeights(from: width, to: w, resampling)
    return filtered(width: w, height: height, line) { x, y in (3 * y * width, 3, x) }
  }

  private func scaledColumns(to h: Int, _ resampling: Resampling) -> RGBImage {
    guard h != height else { return self }
    let line = LineWeights(from: height, to: h, resampling)
    return filtered(width: width, height: h, line) { x, y in (3 * x, 3 * width, y) }
  }

  /// Applies `line` to rows or columns. For a pixel (x, y) of the result, `place` gives the offset in `pixels` at which its
  /// line begins, the step along that line, and the pixel's index in the scaled line.
  private func filtered(
    width w: Int, height h: Int, _ line: LineWeights,
    place: (Int, Int) -> (line: Int, step: Int, index: Int)
  ) -> RGBImage {
    let half = 1 << (LineWeights.fractionBits - 1)
    let result = [UInt8](unsafeUninitializedCapacity: 3 * w * h) { out, count in
      pixels.withUnsafeBufferPointer { pixels in
        line.weights.withUnsafeBufferPointer { weights in
          for y in 0..<h {
            for x in 0..<w {
              let (begin, step, index) = place(x, y)
              let first = index == 0 ? 0 : line.ends[index - 1]
              var from = begin + line.starts[index] * step
              var (red, green, blue) = (half, half, half)
              for weight in weights[first..<line.ends[index]] {
                red += weight * Int(pixels[from])
                green += weight * Int(pixels[from + 1])
                blue += weight * Int(pixels[from + 2])
                from += step
              }
              let to = 3 * (y * w + x)
              out[to] = UInt8(clamping: red >> LineWeights.fractionBits)
              out[to + 1] = UInt8(clamping: green >> LineWeights.fractionBits)
              out[to + 2] = UInt8(clamping: blue >> LineWeights.fractionBits)
            }
          }
        }
      }
      count = 3 * w * h
    }
    return RGBImage(width: w, height: h, pixels: result)
  }

  /// The central part with this size, padded with black where the image is smaller. Precondition: both sides are at least 1.
  public func cropped(width w: Int, height h: Int) -> RGBImage {
    // Rounded down: an odd pixel is cropped from, or padded at, the right and the bottom.
    let (left, top) = ((width - w) >> 1, (height - h) >> 1)
    var cropped = [UInt8](repeating: 0, count: 3 * w * h)
    let columns = max(left, 0)..<min(left + w, width)
    for y in max(top, 0)..<min(top + h, height) {
      let to = 3 * ((y - top) * w + columns.lowerBound - left)
      let from = 3 * (y * width + columns.lowerBound)
      cropped.replaceSubrange(
        to..<to + 3 * columns.count, with: pixels[from..<from + 3 * columns.count])
    }
    return RGBImage(width: w, height: h, pixels: cropped)
  }
}
