/// Hears how far a run is, and may stop it.
public protocol RunProgress: AnyObject {
  /// `completed` of `total` units of work of a phase are done.
  func update(_ phase: String, completed: Int, total: Int)
  /// Whether to stop at the next block.
  var isCancelled: Bool { get }
}
