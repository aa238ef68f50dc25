import Checkpoint
import Foundation
import TestSupport
import Testing

@testable import Report

/// The grid of |A(i|j)|: what it is scaled by, and which blocks it shows.
struct BlockPanelTests {
  /// Jacobians that differ by a factor look alike: each panel is over σ₁ of its own.
  @Test func everyPanelIsOverItsOwnLargestValue() throws {
    let (layers, rank) = (4, 3)
    let panels = try panels(layers: layers, rank: rank) { i, j, a, b in
      // 4^i times a matrix whose leading entry is 1 where i = j.
      pow(4, Float(i)) * (i == j ? (a == b ? 1 / Float(a + 1) : 0) : -Float(a + b + 1) / 8)
    }
    #expect(panels.panels.count == layers * layers)
    for panel in panels.panels {
      for a in 0..<rank {
        for b in 0..<rank {
          let own = a == b ? Double(1 / Float(a + 1)) : 0
          let expected = panel.block == panel.basis ? own : Double(a + b + 1) / 8
          #expect(panel.entries[a][b] == expected)
        }
      }
    }
    // 12 panels of 9 entries off the grid's diagonal: the largest of them, not the 1 of i = j.
    #expect(BlockPanels.scale([panels]) == 5.0 / 8)
  }

  @Test(arguments: [2, 7, 8, 30]) func everyBlockStandsBesideItsNeighbours(layers: Int) throws {
    let panels = try panels(layers: layers, rank: 1) { i, j, _, _ in i == j ? 1 : 0.5 }
    let rows = Dictionary(grouping: panels.panels, by: \.row)
    #expect(rows.count == min(layers, 7))
    for row in rows.values {
      let (block, bases) = (row[0].block, row.map(\.basis))
      #expect(bases == Array(bases[0]..<bases[0] + min(layers, 7)))
      let around = max(1, block - 1)...min(layers, block + 1)
      #expect(around.allSatisfy(bases.contains))
      #expect(row.map(\.column) == Array(0..<bases.count))
    }
  }

  /// A Jacobian that is 0 has no scale.
  @Test func nothingIsDividedByZero() throws {
    let panels = try panels(layers: 2, rank: 2) { i, _, _, _ in i == 0 ? 0 : 1 }
    #expect(
      panels.panels.filter { $0.block == 1 }.allSatisfy {
        $0.entries == [[nil, nil], [nil, nil]]
      })
    #expect(BlockPanels.scale([panels]) == 1 && BlockPanels.scale([]) == 1)
  }

  private func panels(
    layers: Int, rank: Int, _ entry: (Int, Int, Int, Int) -> Float
  ) throws -> BlockPanels {
    let scratch = try ScratchFolder()
    let run = try SampleRun(layers: layers, rank: rank).stored(in: scratch, as: "run")
    var numbers: [Float] = []
    for i in 0..<layers {
      for j in 0..<layers {
        for a in 0..<rank { numbers += (0..<rank).map { entry(i, j, a, $0) } }
      }
    }
    let path = scratch["run/couplings.safetensors"]
    try FileManager.default.removeItem(atPath: path)
    try SafetensorsWriter.write(
      [(SafetensorsWriter.Entry(name: "p0.A", shape: [layers, layers, rank, rank]), numbers)],
      to: path)
    return try #require(try BlockPanels(ReportedRun(run, label: "run", number: 1)))
  }
}
