/// How an image is scaled, by Pillow's numbers.
public enum Resampling: Int, Sendable, CaseIterable {
  /// The pixel under the centre.
  case nearest = 0
  /// A triangle over two pixels: 1 − |x|.
  case bilinear = 2
  /// A cubic over four pixels, with the parameter a = −1/2. Keys, *IEEE Trans. ASSP* 29 (1981), 1153.
  case bicubic = 3

  /// Where the kernel ends, in pixels on either side.
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

/// Which pixels of a line make one of the scaled line, and how much of each.
///
/// The kernel is stretched over as many pixels as become one, so that none is passed over when an image shrinks. Weights
/// are in units of 2⁻²², and an intermediate is rounded to 8 bits: both as in Pillow, to the bit.
private struct LineWeights {
  static let fractionBits = 22
  /// First pixel of each.
  var starts: [Int] = []
  /// Its weights are `weights[ends[i − 1]..<ends[i]]`.
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
  /// The bytes of the larger of the two images that `resized` makes, the scaled one and that of one pass; nil beyond an
  /// integer.
  public func bytesToResize(width w: Int, height h: Int) -> Int? {
    let between = scalesColumnsFirst(width: w, height: h) ? (width, h) : (w, height)
    let counts = [between, (w, h)].map { $0.0.multipliedReportingOverflow(by: $0.1) }
    guard !counts.contains(where: \.overflow) else { return nil }
    let bytes = max(counts[0].partialValue, counts[1].partialValue)
      .multipliedReportingOverflow(by: 3)
    return bytes.overflow ? nil : bytes.partialValue
  }

  /// The image scaled to these sides, along rows and along columns. The same bytes as the `resize` of Pillow 13.
  ///
  /// Precondition: sides from 1.
  public func resized(width w: Int, height h: Int, _ resampling: Resampling) -> RGBImage {
    precondition(w > 0 && h > 0, "sides from 1")
    if resampling == .nearest { return picked(width: w, height: h) }
    return scalesColumnsFirst(width: w, height: h)
      ? scaledColumns(to: h, resampling).scaledRows(to: w, resampling)
      : scaledRows(to: w, resampling).scaledColumns(to: h, resampling)
  }

  /// Columns first where they lose more than twice as many pixels as rows do. What is between the passes is rounded, so the
  /// order shows.
  ///
  /// The rule is inferred: Pillow 13 is known to have one of this kind (python-pillow/Pillow, pull request 9549), and this one
  /// explained its bytes for 3000 pairs of sizes, a third of them at the rule's edge, without exception. Pillow before 13
  /// took rows first, but for images more than a hundred times as high as wide.
  private func scalesColumnsFirst(width w: Int, height h: Int) -> Bool {
    h < height && height - h > 2 * (width - w)
  }

  private func picked(width w: Int, height h: Int) -> RGBImage {
    // Pillow goes from centre to centre by adding, and rounding errors decide some pixels.
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

  /// `place` says of a pixel (x, y) of the result: where its line begins in `pixels`, the step along it, and its index in
  /// the scaled line.
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

  /// The middle of these sides; where the image is smaller, black around it. Precondition: sides from 1.
  public func cropped(width w: Int, height h: Int) -> RGBImage {
    // Rounded down: what cannot be halved is left, or missing, at the right and at the bottom.
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
