/// The seconds that teams of processes take for groups of prompts.
struct TeamTime: Sendable {
  /// The forward pass of the largest group, through which every team goes that works on it.
  let passing: Double
  /// Everything else at one block of that group, which one team does.
  let unit: Double
  /// The number of blocks at which there is work.
  let blocks: Int

  /// The seconds of T teams for `work` times the largest group: each takes its share of the blocks, in whole ones.
  ///
  /// Teams go to different groups while there are as many, and share the blocks of the last ones.
  func seconds(work: Double, teams: Int) -> Double {
    let share = work / Double(teams)
    return max(1, share) * passing + (share * Double(blocks)).rounded(.up) * unit
  }

  /// From best to worst: products are slower while other programs read memory, and a hard block takes more passes.
  static func range(_ seconds: Double) -> ClosedRange<Double> {
    0.6 * seconds...1.8 * seconds + 0.5
  }
}
