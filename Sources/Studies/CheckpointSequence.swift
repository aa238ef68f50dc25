import Analysis
import Foundation

/// The checkpoints of one training run, in the order of their steps.
public struct CheckpointSequence: Sendable, Equatable {
  /// A model and the step it was saved at.
  public struct Checkpoint: Sendable, Equatable {
    /// The model's path, as `AlignmentRun` opens it.
    public let model: String
    /// The step, from 0.
    public let step: Int
  }

  /// The checkpoints by ascending step, each once.
  public let checkpoints: [Checkpoint]

  /// Finds the checkpoints of `places`, each a model named by its step or a folder of such models.
  ///
  /// In a folder, each subfolder or `.gguf` file named by a step is a checkpoint, whatever else the folder holds; so a
  /// trainer's output folder, itself a model, is a folder of checkpoints if it has any. Throws `RunError.badSetting` for a
  /// model without a step in its name, for two models of one step, and if there is none.
  public init(_ places: [String]) throws(RunError) {
    var found: [Checkpoint] = []
    for place in places {
      let inside = try Self.checkpoints(in: place)
      if !inside.isEmpty {
        found += inside
      } else if let step = TrainingStep.named(place) {
        found.append(Checkpoint(model: place, step: step))
      } else {
        throw Self.bad(
          place,
          "is neither named by a training step nor a folder of such checkpoints; "
            + "name them like step128 or checkpoint-128")
      }
    }
    guard !found.isEmpty else {
      throw Self.bad("", "none was given; give a folder of checkpoints, or the checkpoints")
    }
    checkpoints = found.sorted { $0.step < $1.step }
    for (a, b) in zip(checkpoints, checkpoints.dropFirst()) where a.step == b.step {
      throw Self.bad(
        b.model, "has the same step, \(b.step), as \(a.model); leave one of them out")
    }
  }

  private static func checkpoints(in folder: String) throws(RunError) -> [Checkpoint] {
    let files = FileManager.default
    var isFolder: ObjCBool = false
    guard files.fileExists(atPath: folder, isDirectory: &isFolder), isFolder.boolValue else {
      return []
    }
    let names: [String]
    do {
      names = try files.contentsOfDirectory(atPath: folder).sorted()
    } catch {
      throw bad(folder, "the folder cannot be listed")
    }
    var found: [Checkpoint] = []
    var unnamed: String?
    for name in names {
      let path = folder.hasSuffix("/") ? folder + name : "\(folder)/\(name)"
      let isModel = files.fileExists(atPath: "\(path)/config.json") || name.hasSuffix(".gguf")
      guard isModel else { continue }
      if let step = TrainingStep.named(name) {
        found.append(Checkpoint(model: path, step: step))
      } else {
        unnamed = unnamed ?? path
      }
    }
    // Leaving it out silently would surprise the user.
    if let unnamed, !files.fileExists(atPath: "\(folder)/config.json") {
      throw bad(
        unnamed,
        "is a model without a training step in its name; name it like step128, or list the "
          + "checkpoints to use")
    }
    return found
  }

  private static func bad(_ path: String, _ reason: SettingMessage) -> RunError {
    .badSetting(.checkpoints, value: path, reason: reason)
  }
}

extension CheckpointSequence {
  /// Throws `RunError.badSetting` unless all checkpoints, with `identities` in the same order, can belong to one training run.
  /// The message names those that differ from the majority.
  public func check(_ identities: [TrainingIdentity]) throws(RunError) {
    let counts = identities.map { one in identities.count { $0 == one } }
    guard let most = counts.max(), let usual = counts.firstIndex(of: most) else { return }
    let odd = zip(checkpoints, identities).filter { $1 != identities[usual] }.map {
      ($0.model, $1.difference(from: identities[usual]))
    }
    guard let (model, difference) = odd.first else { return }
    let others = odd.dropFirst().map { "; \($0): \($1)" }.joined()
    throw .badSetting(
      .checkpoints, value: model,
      reason:
        "\(difference)\(others); checkpoints of one training run have one architecture, here that of "
        + "\(checkpoints[usual].model): leave the others out")
  }
}
