import Alignment

/// The rows of a run's CSV files: one per number, with the indices it belongs to. `p` is the prompt, from 0.
enum RunTables {
  static let singularValuesHeader =
    "prompt,layer,from_token,to_token,index,singular_value,residual_norm\n"
  static let couplingHeader =
    "prompt,kind,rank,sign,normalisation,form,score,row,column,value,null,"
    + "layer,basis_layer,from_token,to_token\n"
  static let trajectoryHeader = "prompt,token,quantity,layer,value\n"

  static func singularValues(_ p: Int, _ l: LayerRecord) -> String {
    var text = ""
    for (i, (s, r)) in zip(l.singularValues, l.residualNorms).enumerated() {
      text += "\(p),\(l.layer),\(l.fromToken),\(l.toToken),\(i + 1),\(s),\(r)\n"
    }
    return text
  }

  /// The CSV rows for one row of a coupling table.
  static func coupling(_ p: Int, _ c: CouplingMatrix, row i: Int) -> String {
    let s = c.setting
    let head =
      "\(p),\(c.kind.rawValue),\(s.rank),\(s.sign.rawValue),\(s.normalisation.rawValue),"
      + "\(s.form.rawValue),\(s.score.rawValue),\(c.rows[i])"
    let at = c.place
    let place = [at.layer, at.basisLayer, at.fromToken, at.toToken].map {
      $0.map(String.init) ?? ""
    }
    let tail = "\(shown(c.null?[i] ?? nil)),\(place.joined(separator: ","))\n"
    var text = ""
    for (name, value) in zip(c.columns, c.matrix[i]) {
      text += "\(head),\(name),\(shown(value)),\(tail)"
    }
    return text
  }

  static func trajectory(_ p: Int, _ t: TrajectoryRecord) -> String {
    var text = ""
    for (l, norms) in t.norms.enumerated() {
      for (token, norm) in norms.enumerated() { text += "\(p),\(token),norm,\(l),\(norm)\n" }
    }
    let perToken: [(String, [Double?])] = [
      ("line_shape_score", t.lineShapeScore), ("growth", t.growth),
      ("expodistance", t.expodistance),
    ]
    for (name, values) in perToken {
      for (token, value) in values.enumerated() {
        text += "\(p),\(token),\(name),,\(shown(value))\n"
      }
    }
    return text
  }

  /// A missing number is an empty field.
  private static func shown(_ value: Double?) -> String { value.map { "\($0)" } ?? "" }
}
