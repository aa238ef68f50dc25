/// The training step in a checkpoint's name.
public enum TrainingStep {
  /// The step in a checkpoint's name: 128 in `step128`, `step_128`, `checkpoint-128`, `global_step128`, `tiny-step128`,
  /// `step128.gguf` and plain `128`; nil for a name of another form, or a number that is too large.
  ///
  /// `name` may be a path, of which the last component is used.
  public static func named(_ name: String) -> Int? {
    var last = name.split(separator: "/").last ?? ""
    if last.hasSuffix(".gguf") { last = last.dropLast(5) }
    let digits = last.reversed().prefix { ("0"..."9").contains($0) }.count
    guard digits > 0 else { return nil }
    var word = last.dropLast(digits)
    if !word.isEmpty {
      if let separator = word.last, "-_".contains(separator) { word = word.dropLast() }
      guard let known = ["step", "checkpoint"].first(where: { word.hasSuffix($0) }) else {
        return nil
      }
      // It must be a separate word: `timestep128` does not count.
      guard word.dropLast(known.count).last.map({ "-_.".contains($0) }) ?? true else { return nil }
    }
    return Int(last.suffix(digits))
  }
}
