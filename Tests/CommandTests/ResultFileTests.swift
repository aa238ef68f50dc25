import Analysis
import Checkpoint
import Foundation
import LinearAlgebra
import TestSupport
import Testing

/// The files of a run folder, as other programs read them.
struct ResultFileTests {
  static let run = Result {
    try Command.align(
      ModelFixture("llama").folder,
      [
        "--token-ids", "5,3,9,7", "--token-ids", "1,2", "--top", "4", "--ranks", "2,4", "--form",
        "both",
      ])
  }

  private func object(_ value: Any?) throws -> [String: Any] {
    try #require(value as? [String: Any])
  }

  private func raw(_ run: Run) throws -> [String: Any] {
    let data = try Data(contentsOf: URL(fileURLWithPath: "\(run.folder)/result.json"))
    return try object(try JSONSerialization.jsonObject(with: data))
  }

  @Test func folderHoldsTheseFilesAndNoOthers() throws {
    let run = try Self.run.get()
    #expect(run.scratch.contents == ["run"])
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: run.folder).sorted() == [
        "coupling.csv", "couplings.safetensors", "result.json", "singular_values.csv",
        "trajectory.csv",
        "triplets.safetensors",
      ])
  }

  @Test func keysOfTheResult() throws {
    let result = try raw(try Self.run.get())
    #expect(
      Set(result.keys) == [
        "krylens", "complete", "model", "settings", "prompt_list", "prompts", "statistics",
        "seconds", "peak_memory_bytes", "peak_private_bytes", "residuals_against", "computed_with",
      ])
    #expect(result["krylens"] as? String == krylensVersion)
    let model = try object(result["model"])
    #expect(
      Set(model.keys).isSuperset(of: [
        "name", "source", "family", "model_type", "layers", "width", "parameters", "stored_types",
      ]))
    #expect(model["name"] as? String == "llama" && model["family"] as? String == "llama")
    #expect(model["layers"] as? Int == 3 && model["width"] as? Int == 24)
    #expect(model["stored_types"] as? [String] == ["F32"])
    #expect(
      Set(try object(result["seconds"]).keys) == ["total", "load", "reading", "solve", "coupling"])
    #expect(try #require(result["peak_private_bytes"] as? Int) >= 0)
    #expect(
      try #require(result["peak_memory_bytes"] as? Int)
        >= (try #require(result["peak_private_bytes"] as? Int)))

    let prompts = try #require(result["prompts"] as? [[String: Any]])
    #expect(prompts.count == 2)
    for prompt in prompts {
      #expect(
        Set(prompt.keys).isSuperset(of: [
          "text", "image", "token_ids", "tokens", "next_token_id", "next_token", "layers",
          "coupling",
          "overlap", "trajectory",
        ]))
      // Missing values are null, not left out.
      for key in ["text", "image", "tokens", "next_token"] {
        #expect(prompt[key] is NSNull, "\(key)")
      }
      #expect(prompt["next_token_id"] is Int)
      for layer in try #require(prompt["layers"] as? [[String: Any]]) {
        #expect(
          Set(layer.keys).isSuperset(of: [
            "layer", "from_token", "to_token", "singular_values", "residual_norms", "converged",
            "solver", "block_size", "applications", "passes", "seconds",
          ]))
        #expect(Set(try object(layer["applications"]).keys) == ["jvp", "vjp"])
        #expect((layer["singular_values"] as? [Double])?.count == 4)
        #expect((layer["residual_norms"] as? [Double])?.count == 4)
      }
      let overlap = try #require(prompt["overlap"] as? [[String: Any]])
      #expect(overlap.map { $0["rank"] as? Int } == [2, 4])
      for table in overlap {
        for side in ["left", "right"] {
          let matrix = try #require(table[side] as? [[Double]])
          #expect(matrix.count == 3 && matrix.allSatisfy { $0.count == 3 })
          for (i, row) in matrix.enumerated() { #expect(abs(row[i] - 1) < 1e-9) }
        }
      }
      let trajectory = try object(prompt["trajectory"])
      let tokens = try #require(prompt["token_ids"] as? [Int]).count
      let norms = try #require(trajectory["norms"] as? [[Double]])
      #expect(norms.count == 4 && norms.allSatisfy { $0.count == tokens })
      for key in ["line_shape_score", "growth", "expodistance"] {
        #expect((trajectory[key] as? [Any])?.count == tokens, "\(key)")
      }
    }
  }

  @Test func couplingHoldsEveryCombination() throws {
    let prompts = try #require(try raw(try Self.run.get())["prompts"] as? [[String: Any]])
    for prompt in prompts {
      var seen: Set<String> = []
      for table in try #require(prompt["coupling"] as? [[String: Any]]) {
        #expect(
          Set(table.keys).isSuperset(of: [
            "kind", "rank", "sign", "normalisation", "form", "score", "rows", "columns", "matrix",
            "null", "mean_nontrivial", "mean_off_diagonal",
          ]))
        let words = ["sign", "normalisation", "form"].compactMap { table[$0] as? String }
        seen.insert("\(try #require(table["rank"] as? Int)) \(words.joined(separator: " "))")
        #expect(table["kind"] as? String == "depth" && table["score"] as? String == "one-minus")
        #expect(table["rows"] as? [Int] == [1, 2, 3] && table["columns"] as? [Int] == [1, 2, 3])
        let matrix = try #require(table["matrix"] as? [[Double]])
        #expect(matrix.count == 3 && matrix.allSatisfy { $0.count == 3 })
        #expect((table["null"] as? [Double])?.count == 3)
        // Form same leaves the diagonal out of the mean; the crossed form has no trivial pairs.
        let isCrossed = table["form"] as? String == "crossed"
        var values: [Double] = []
        for i in 0..<3 { for j in 0..<3 where isCrossed || i != j { values.append(matrix[i][j]) } }
        for key in ["mean_nontrivial", "mean_off_diagonal"] {
          let mean = try #require(table[key] as? Double)
          #expect(abs(mean - values.reduce(0, +) / Double(values.count)) < 1e-12)
        }
      }
      var wanted: Set<String> = []
      for rank in ["2", "4"] {
        for sign in ["signed", "absolute"] {
          for normalisation in ["frobenius", "trace"] {
            for form in ["same", "crossed"] {
              wanted.insert("\(rank) \(sign) \(normalisation) \(form)")
            }
          }
        }
      }
      #expect(seen == wanted)
      #expect((prompt["coupling"] as? [Any])?.count == 16)
    }
  }

  @Test func settingsHoldEveryOptionByItsLongName() throws {
    let settings = try object(try raw(try Self.run.get())["settings"])
    let options = [
      "top", "ranks", "rank_share", "layers", "kind", "from_token", "to_token", "tokens",
      "basis_layer", "shard", "site", "last", "solver",
      "tolerance", "seed", "sign", "normalisation", "form", "score", "diagonal", "like_paper",
      "step", "max_memory", "name", "threads", "output", "save_hidden_states",
    ]
    for option in options { #expect(settings[option] != nil, "\(option)") }
    #expect(settings["top"] as? Int == 4 && settings["ranks"] as? [Int] == [2, 4])
    #expect(settings["from_token"] as? String == "last" && settings["seed"] as? Int == 0)
    #expect(settings["tolerance"] as? Double == 1e-5 && settings["solver"] as? String == "auto")
    #expect(settings["rank_share"] is NSNull && settings["layers"] is NSNull)
    #expect(settings["output"] as? String == "run" && settings["threads"] as? Int == 1)
  }

  @Test func undefinedNumbersAreNull() throws {
    // The MLP carries nothing from one token to another: J = 0, and no coupling is defined.
    let run = try Command.align(
      ModelFixture("llama").folder,
      ["--token-ids", "5,3,9,7", "--top", "2", "--site", "mlp", "--from-token", "1"])
    let prompt = run.record.prompts[0]
    #expect(prompt.layers.allSatisfy { $0.singularValues == [0, 0] && $0.converged })
    #expect(prompt.coupling.allSatisfy { $0.matrix.joined().allSatisfy { $0 == nil } })
    let prompts = try #require(try raw(run)["prompts"] as? [[String: Any]])
    let tables = try #require(prompts[0]["coupling"] as? [[String: Any]])
    #expect(tables.allSatisfy { $0["mean_nontrivial"] is NSNull })
    #expect(!run.finished.output.contains("nan") && !run.finished.output.contains("inf"))
  }

  @Test func recordRoundTripsSinglePrecision() throws {
    let run = try Self.run.get()
    let text = try String(contentsOfFile: "\(run.folder)/result.json", encoding: .utf8)
    #expect(!text.lowercased().contains("nan") && !text.contains("Infinity"))
    let tensors = try SafetensorsFile("\(run.folder)/triplets.safetensors")
    for (p, prompt) in run.record.prompts.enumerated() {
      for layer in prompt.layers {
        let s = try tensors.tensor("p\(p).l\(layer.layer).S").vector(count: 4)
        #expect(s == layer.singularValues.map { Float($0) })
      }
    }
  }

  @Test func tripletsAreOrthonormalRows() throws {
    let run = try Self.run.get()
    let tensors = try SafetensorsFile("\(run.folder)/triplets.safetensors")
    #expect(tensors.tensors.count == 2 * 3 * 3)
    for (p, prompt) in run.record.prompts.enumerated() {
      for layer in prompt.layers {
        for side in ["U", "V"] {
          let tensor = try tensors.tensor("p\(p).l\(layer.layer).\(side)")
          #expect(tensor.shape == [4, 24] && tensor.elementType == .f32)
          let x = Matrix(rows: 4, columns: 24, elements: tensor.numbers().map { Double($0) })
          let gram = Matrix.product(x, .none, x, .transposed)
          // Each of 24 entries is rounded to float32: 24 ε = 1.4·10⁻⁶.
          for i in 0..<4 {
            for j in 0..<4 { #expect(abs(gram[i, j] - (i == j ? 1 : 0)) < 2e-6) }
          }
        }
      }
    }
  }

  // MARK: Tables

  /// The header and the rows; every row is as long as the header, and no field is quoted.
  private func table(_ name: String) throws -> [[String: String]] {
    let run = try Self.run.get()
    let text = try String(contentsOfFile: "\(run.folder)/\(name)", encoding: .utf8)
    #expect(text.hasSuffix("\n") && !text.contains("\"") && !text.contains("\r"))
    let lines = text.split(separator: "\n").map {
      $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }
    let header = try #require(lines.first)
    #expect(Set(header).count == header.count)
    return try lines.dropFirst().map { fields in
      try #require(fields.count == header.count, "\(fields)")
      return Dictionary(uniqueKeysWithValues: zip(header, fields))
    }
  }

  @Test func singularValuesTable() throws {
    let rows = try table("singular_values.csv")
    var expected: [[String: String]] = []
    for (p, prompt) in try Self.run.get().record.prompts.enumerated() {
      for l in prompt.layers {
        for i in l.singularValues.indices {
          expected.append([
            "prompt": "\(p)", "layer": "\(l.layer)", "from_token": "\(l.fromToken)",
            "to_token": "\(l.toToken)", "index": "\(i + 1)",
            "singular_value": "\(l.singularValues[i])", "residual_norm": "\(l.residualNorms[i])",
          ])
        }
      }
    }
    #expect(rows == expected)
  }

  @Test func couplingTable() throws {
    let rows = try table("coupling.csv")
    let record = try Self.run.get().record
    #expect(rows.count == 2 * 16 * 9)
    for row in rows {
      let prompt = record.prompts[try #require(Int(row["prompt"] ?? ""))]
      let matrix = try #require(
        prompt.coupling.first {
          "\($0.setting.rank)" == row["rank"] && $0.setting.sign.rawValue == row["sign"]
            && $0.setting.normalisation.rawValue == row["normalisation"]
            && $0.setting.form.rawValue == row["form"]
        })
      let i = try #require(Int(row["row"] ?? "")) - 1
      let j = try #require(Int(row["column"] ?? "")) - 1
      #expect(Double(row["value"] ?? "") == matrix.matrix[i][j])
      #expect(Double(row["null"] ?? "") == matrix.null?[i])
    }
  }

  @Test func trajectoryTable() throws {
    let rows = try table("trajectory.csv")
    let record = try Self.run.get().record
    // 4 layers of norms and 3 numbers for each of 4 + 2 tokens.
    #expect(rows.count == (4 + 3) * 6)
    for row in rows {
      let t = record.prompts[try #require(Int(row["prompt"] ?? ""))].trajectory
      let token = try #require(Int(row["token"] ?? ""))
      let value = Double(row["value"] ?? "")
      switch row["quantity"] {
      case "norm": #expect(value == t.norms[try #require(Int(row["layer"] ?? ""))][token])
      case "line_shape_score": #expect(value == t.lineShapeScore[token])
      case "growth": #expect(value == t.growth[token])
      case "expodistance": #expect(value == t.expodistance[token])
      default: Issue.record("\(row)")
      }
    }
  }

  @Test func hiddenStatesAreWrittenWhenAskedFor() throws {
    let run = try Command.align(
      ModelFixture("odd").folder,
      ["--token-ids", "5,3,9", "--save-hidden-states", "--top", "2"])
    let file = try SafetensorsFile("\(run.folder)/hidden_states.safetensors")
    #expect(file.tensors.count == 5)
    for (l, norms) in run.record.prompts[0].trajectory.norms.enumerated() {
      let x = try file.tensor("p0.x\(l)")
      #expect(x.shape == [3, 20])
      let numbers = x.numbers().map { Double($0) }
      for (t, norm) in norms.enumerated() {
        let square = numbers[t * 20..<(t + 1) * 20].reduce(0) { $0 + $1 * $1 }
        #expect(abs(square.squareRoot() - norm) <= 1e-12 * norm)
      }
    }
  }
}
