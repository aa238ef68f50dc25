/// The CSV files of a run: one row a number, with the indices it belongs to.
enum RunTables {
  static func all(_ run: RunRecord) -> [(name: String, text: String)] {
    [
      ("singular_values.csv", singularValues(run)), ("coupling.csv", coupling(run)),
      ("trajectory.csv", trajectory(run)),
    ]
  }

  private static func singularValues(_ run: RunRecord) -> String {
    var text = "prompt,layer,from_token,to_token,index,singular_value,residual_norm\n"
    for (p, prompt) in run.prompts.enumerated() {
      for l in prompt.layers {
        for (i, (s, r)) in zip(l.singularValues, l.residualNorms).enumerated() {
          text += "\(p),\(l.layer),\(l.fromToken),\(l.toToken),\(i + 1),\(s),\(r)\n"
        }
      }
    }
    return text
  }

  private static func coupling(_ run: RunRecord) -> String {
    var text =
      "prompt,kind,rank,sign,normalisation,form,score,row,column,value,null,"
      + "layer,basis_layer,from_token,to_token\n"
    for (p, prompt) in run.prompts.enumerated() {
      for c in prompt.coupling {
        let s = c.setting
        let head =
          "\(p),\(c.kind.rawValue),\(s.rank),\(s.sign.rawValue),\(s.normalisation.rawValue),"
          + "\(s.form.rawValue),\(s.score.rawValue)"
        for (i, row) in c.matrix.enumerated() {
          let null = shown(c.null?[i] ?? nil)
          let at = c.place
          let place = [at.layer, at.basisLayer, at.fromToken, at.toToken].map {
            $0.map(String.init) ?? ""
          }
          .joined(separator: ",")
          for (j, value) in row.enumerated() {
            text += "\(head),\(c.rows[i]),\(c.columns[j]),\(shown(value)),\(null),\(place)\n"
          }
        }
      }
    }
    return text
  }

  private static func trajectory(_ run: RunRecord) -> String {
    var text = "prompt,token,quantity,layer,value\n"
    for (p, prompt) in run.prompts.enumerated() {
      let t = prompt.trajectory
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
    }
    return text
  }

  /// A missing number is an empty field.
  private static func shown(_ value: Double?) -> String { value.map { "\($0)" } ?? "" }
}
