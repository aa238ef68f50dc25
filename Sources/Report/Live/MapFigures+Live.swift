import Analysis

extension LiveFigure {
  /// Singular values of maps with their error bounds, and their residual norms.
  static func mapSpectrum(_ run: ReportedMaps) -> LiveFigure {
    let ramp = PageJSON.range("map", 0, Double(max(1, run.maps.count - 1)))
    let tolerance = run.record.head.settings.tolerance
    let panel = {
      (label: String, include: [PageJSON], series: (MapRecord) -> ([Double?], [Double]?))
        -> PageJSON in
      let all = run.maps.enumerated().map { m, found in
        let (y, bounds) = series(found.map)
        return LiveSeries(
          name: run.mapInWords(m), level: run.maps.count > 1 ? Double(m) : nil,
          x: y.indices.map { Double($0 + 1) }, y: y,
          more: bounds.map { [("bounds", .bounds($0))] } ?? [],
          isSilent: true)
      }
      return .lines(
        x: ["label": "k", "word": "k =", "whole": true],
        y: ["label": .text(label), "log": true, "include": .list(include)], series: all,
        run.maps.count > 1 ? [("ramp", ramp)] : [])
    }
    return LiveFigure([
      panel("singular value σₖ", []) { map in
        let bounds = map.bound.flatMap { $0.count == map.singularValues.count ? $0 : nil }
        return (map.singularValues.map { $0 > 0 ? $0 : nil }, bounds)
      },
      panel("residual norm / σ₁", [.number(tolerance)]) { map in
        let largest = map.singularValues.first ?? 0
        return (map.residualNorms.map { $0 > 0 && largest > 0 ? $0 / largest : nil }, nil)
      },
    ])
  }
}
