extension CostEstimate: Encodable {
  private enum CodingKeys: CodingKey {
    case processes, slices, teams, networkBytesPerSecond, privateParts, mappedParts
    case peakPrivateBytes, peakMemoryBytes, weightBytes, solvePasses, otherPasses, groups, seconds
    case totalSeconds, communication
  }

  /// Writes the predictions of one process; ranges as two numbers.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(layout.processes, forKey: .processes)
    try values.encode(layout.slices, forKey: .slices)
    try values.encode(layout.teams, forKey: .teams)
    try values.encode(layout.networkRate, forKey: .networkBytesPerSecond)
    try values.encode(privateParts, forKey: .privateParts)
    try values.encode(mappedParts, forKey: .mappedParts)
    try values.encode(peakPrivateBytes, forKey: .peakPrivateBytes)
    try values.encode(peakMemoryBytes, forKey: .peakMemoryBytes)
    try values.encode(weightBytes, forKey: .weightBytes)
    try values.encode(solvePasses, forKey: .solvePasses)
    try values.encode(otherPasses, forKey: .otherPasses)
    try values.encode(groups, forKey: .groups)
    try values.encode([seconds.lowerBound, seconds.upperBound], forKey: .seconds)
    try values.encode(
      [totalSeconds.lowerBound, totalSeconds.upperBound], forKey: .totalSeconds)
    try values.encodeIfPresent(communication, forKey: .communication)
  }
}
