import Foundation
import TestSupport
import Testing

/// The modules follow docs/architecture.md: each imports only what its row of the table allows.
struct ModuleTests {
  private static let sources = ModelFixture.path("../Sources")
  /// Modules outside the package: those of the standard library and of dependencies.
  private static let outside: Set = [
    "ArgumentParser", "ComplexModule", "Darwin", "Foundation", "Glibc", "HeapModule",
    "OrderedCollections", "RealModule", "SwiftCSV", "Synchronization",
  ]

  /// For each module, the modules that its row of the table allows.
  private static func drawn() throws -> [String: Set<String>] {
    let text = try String(
      contentsOfFile: ModelFixture.path("../docs/architecture.md"), encoding: .utf8)
    var rows: [String: Set<String>] = [:]
    for line in text.split(separator: "\n") where line.hasPrefix("| `") {
      // | modules | question | folders | may use |
      let cells = line.split(separator: "|").map { String($0) }
      guard cells.count == 4 else { continue }
      let names = { (cell: String) in cell.matches(of: /`([A-Za-z0-9]+)`/).map { String($0.1) } }
      for module in names(cells[0]) { rows[module] = Set(names(cells[cells.count - 1])) }
    }
    return rows
  }

  @Test func modulesImportWhatIsDrawn() throws {
    let drawn = try Self.drawn()
    var modules: Set<String> = []
    for module in try FileManager.default.contentsOfDirectory(atPath: Self.sources) {
      let files = try #require(
        FileManager.default.enumerator(atPath: "\(Self.sources)/\(module)"))
      var imports: Set<String> = []
      for case let file as String in files where file.hasSuffix(".swift") {
        let text = try String(contentsOfFile: "\(Self.sources)/\(module)/\(file)", encoding: .utf8)
        for found in text.matches(of: /(?m)^\s*(?:public |package )?import ([A-Za-z0-9]+)$/) {
          imports.insert(String(found.1))
        }
      }
      let allowed = try #require(drawn[module], "docs/architecture.md has no row for \(module)")
      let undrawn = imports.subtracting(Self.outside).subtracting(allowed)
      #expect(undrawn.isEmpty, "\(module) imports \(undrawn.sorted())")
      modules.insert(module)
    }
    #expect(modules == Set(drawn.keys))
  }

  /// No folder has more than fifteen files, except those of model families.
  @Test func foldersAreShort() throws {
    let files = FileManager.default
    let all = try #require(files.enumerator(atPath: Self.sources))
    for case let folder as String in all where !folder.hasSuffix("Families") {
      var isFolder: ObjCBool = false
      let path = "\(Self.sources)/\(folder)"
      guard files.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue else {
        continue
      }
      let names = try files.contentsOfDirectory(atPath: path).filter { $0.contains(".") }
      #expect(names.count <= 15, "\(folder) has \(names.count) files")
    }
  }
}
