import Analysis
import ArgumentParser

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

  /// Runs into a folder, resuming from what is finished there, and returns the record.
  func record<Run: FolderRun>(in path: String, _ open: () throws -> Run) throws -> Run.Record {
    let meter = MemoryMeter()
    let progress = ProgressBar(isShown: !quiet)
    defer { progress.finish() }
    let run = try open()
    if !quiet { run.notes.forEach(note) }
    let folder = try ResultFolder(path, for: try run.manifest())
    guard !folder.isComplete else {
      if !quiet { note("\(path) already holds the complete run; nothing was done") }
      return try Run.record(folder: path)
    }
    do {
      if folder.keepsWork, !quiet { note("resuming from what is finished in \(path)") }
      return try run.run(in: folder, progress: progress, meter: meter)
    } catch {
      folder.abandon()
      throw error
    }
  }
}
