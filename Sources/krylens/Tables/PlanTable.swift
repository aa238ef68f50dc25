import Analysis
import Foundation

/// A prediction as `plan` prints it.
struct PlanTable {
  private let plan: CostEstimate

  init(_ plan: CostEstimate) { self.plan = plan }

  var text: String { (memory + work + sharing).joined(separator: "\n") }

  private var memory: [String] {
    let line = { (name: String, bytes: Int) in
      String(format: "%10.1f MB  ", Double(bytes) / 1e6) + name
    }
    return (plan.privateParts + plan.mappedParts).map { line($0.name, $0.bytes) } + [
      line("peak private memory", plan.peakPrivateBytes),
      line("peak memory", plan.peakMemoryBytes),
    ]
  }

  private var work: [String] {
    let passes =
      "\(plan.solvePasses) solver passes, \(plan.otherPasses) other passes"
      + (plan.groups > 1 ? ", per group of prompts" : "")
    let time =
      plan.groups == 1
      ? seconds(plan.totalSeconds)
      : "\(seconds(plan.seconds)) per group of prompts, \(seconds(plan.totalSeconds)) for all "
        + "\(plan.groups) groups"
    return [passes, time]
  }

  private func seconds(_ range: ClosedRange<Double>) -> String {
    String(format: "%.1f to %.1f seconds", range.lowerBound, range.upperBound)
  }

  /// The division among processes.
  private var sharing: [String] {
    let layout = plan.layout
    guard layout.processes > 1 else { return [] }
    let teams =
      layout.slices == 1
      ? "\(layout.processes) processes, each with whole blocks; memory and passes are those of one, seconds those of all"
      : "\(layout.processes) processes in \(layout.teams) \(layout.teams == 1 ? "team" : "teams") of \(layout.slices) slices; "
        + "memory and passes are those of the process with the largest slice, seconds those of all"
    guard let sent = plan.communication else { return [teams] }
    return [
      teams,
      "\(spokenBytes(plan.weightBytes)) of weights per process in a pass over a block",
      "\(spokenBytes(sent.product.bytes)) in \(sent.product.calls) calls per product of \(sent.vectors * sent.jacobians) "
        + "vectors, forward or adjoint",
      "\(spokenBytes(sent.block.bytes)) in \(sent.block.calls) calls per block, \(spokenBytes(sent.total.bytes)) in all, "
        + String(
          format: "%.1f seconds at %.3g GB per second", sent.seconds, layout.networkRate / 1e9),
    ]
  }
}
