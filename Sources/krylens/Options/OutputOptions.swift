import Analysis
import ArgumentParser
import Processes

/// Where a run is written, and whether anything is printed about it.
struct OutputOptions: ParsableArguments {
  @Option(
    name: .shortAndLong,
    help: ArgumentHelp(
      "The run folder: new, empty, or the same run's, which is then resumed (default: krylens-runs/NAME-TIME).",
      valueName: "dir"), completion: .directory)
  private var output: FilePath?

  @Flag(help: "Print nothing but errors.")
  var quiet = false

  /// The folder for a run of the given name.
  func path(for name: String) -> String { output?.path ?? OutputFolder.defaultPath(name) }

  /// Runs into a folder, resuming from what is finished there, and returns the record in the process that leads.
  func record<Run: FolderRun>(
    in path: String, as processes: RunProcesses, _ open: () throws -> Run
  ) throws -> Run.Record? {
    let isQuiet = quiet || !processes.isLeader
    let meter = MemoryMeter()
    let progress = ProgressBar(isShown: !isQuiet)
    defer { progress.finish() }
    let (run, manifest, path) = try processes.opened(into: path) {
      let run = try open()
      return (run, try run.manifest(progress: progress))
    }
    if !isQuiet { run.notes.forEach(note) }
    let folder = try ResultFolder.open(path, for: manifest, as: processes)
    guard !folder.isComplete else {
      guard processes.isLeader else { return nil }
      if !isQuiet { note("\(path) already holds the complete run; nothing was done") }
      return try Run.record(folder: path)
    }
    do {
      if folder.keepsWork, !isQuiet { note("resuming from what is finished in \(path)") }
      return try run.run(in: folder, as: processes, progress: progress, meter: meter)
    } catch {
      folder.abandon()
      throw error
    }
  }
}
