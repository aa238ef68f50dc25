import Foundation
import Processes

extension RunProcesses {
  /// Opens a run in every process. Returns once all have opened the same one, with the folder of the leader.
  ///
  /// Throws in every process alike, before any work, if one of them cannot open it or has opened another.
  package func opened<Run, Manifest: FolderManifest>(
    into path: String, _ open: () throws -> (Run, Manifest)
  ) throws -> (run: Run, manifest: Manifest, path: String) {
    guard !isAlone else {
      let (run, manifest) = try open()
      return (run, manifest, path)
    }
    let result = Result {
      let (run, manifest) = try open()
      return (run, manifest, [UInt8](try manifest.json()))
    }
    var failure: WorkStopped?
    if case .failure(let error) = result { failure = self.failure(error) }
    try opening.take(failure)
    let (run, manifest, mine) = try result.get()
    let leaders = (
      path: String(decoding: all.leaders(Array(path.utf8)), as: UTF8.self),
      manifest: all.leaders(mine)
    )
    if mine != leaders.manifest {
      do {
        if let reason = try Manifest(json: Data(leaders.manifest)).difference(from: manifest) {
          throw RunError.otherProcess(number: all.rank, reason: reason)
        }
      } catch {
        failure = self.failure(error)
      }
    }
    try all.agree(failure)
    opening.folder = leaders.path
    return (run, manifest, leaders.path)
  }

  /// Does what every process does before it works. Throws in every process alike if it failed in one.
  package func together(_ body: () throws -> Void) throws {
    guard !isAlone else { return try body() }
    var failure: WorkStopped?
    do { try body() } catch { failure = self.failure(error) }
    try all.agree(failure)
  }
}
