import Analysis
import ArgumentParser

/// Where a run is written, and whether anything is said of it.
struct OutputOptions: ParsableArguments {
  @Option(
    name: .shortAndLong,
    help: ArgumentHelp(
      "The run folder: new, empty, or that of the same run, which is then resumed (default: in krylens-runs, by name and time).",
      valueName: "dir"), completion: .directory)
  private var output: FilePath?

  @Flag(help: "Print nothing but errors.")
  var quiet = false

  /// The folder of a run of this name.
  func path(for name: String) -> String { output?.path ?? AlignCommand.defaultOutput(name) }

  /// One run into a folder, where it goes on from what is finished there.
  func record<Run: FolderRun>(in path: String, _ open: () throws -> Run) throws -> Run.Record {
    let meter = MemoryMeter()
    let progress = ProgressBar(isShown: !quiet)
    defer { progress.finish() }
    let run = try open()
    if !quiet { run.notes.forEach(note) }
    let folder = try ResultFolder(path, for: try run.manifest())
    guard !folder.isComplete else {
      if !quiet { note("\(path) holds the whole of this run already; nothing was done") }
      return try Run.record(folder: path)
    }
    do {
      if folder.keepsWork, !quiet { note("going on from what is finished in \(path)") }
      return try run.run(in: folder, progress: progress, meter: meter)
    } catch {
      folder.abandon()
      throw error
    }
  }
}
