import Foundation

/// The run folder of `krylens eigen`: `result.json`, and the eigenvalues as a table.
public enum EigenFolder {
  /// Does the work, and writes what it found into a folder that is new or empty; nothing is left of it if the work fails.
  ///
  /// Throws `RunError.outputNotEmpty` and `cannotWrite`, before any work if that is known then, and what the work throws.
  public static func write(
    to path: String, _ work: () throws -> EigenRecord
  ) throws -> EigenRecord {
    let files = FileManager.default
    if files.fileExists(atPath: path) {
      let contents = try? files.contentsOfDirectory(atPath: path)
      guard contents?.isEmpty == true else { throw RunError.outputNotEmpty(path: path) }
    }
    let folder = try OutputFolder(
      making: URL(fileURLWithPath: path).standardizedFileURL.path, name: path)
    do {
      let record = try work()
      try folder.write(Data(table(record).utf8), to: "eigenvalues.csv")
      try folder.write(recordJSON(record), to: "result.json")
      return record
    } catch {
      folder.takeBack()
      throw error
    }
  }

  /// One row per eigenvalue; prompts are counted from 0.
  private static func table(_ record: EigenRecord) -> String {
    var text = "prompt,layer,from_layer,to_layer,index,real,imaginary,residual_norm\n"
    for (p, prompt) in record.prompts.enumerated() {
      for s in prompt.layers + [prompt.map].compactMap({ $0 }) {
        for (i, (λ, residual)) in zip(s.eigenvalues, s.residualNorms).enumerated() {
          let layer = s.layer.map { "\($0)" } ?? ""
          text += "\(p),\(layer),\(s.fromLayer),\(s.toLayer),\(i + 1),\(λ[0]),\(λ[1]),\(residual)\n"
        }
      }
    }
    return text
  }
}
