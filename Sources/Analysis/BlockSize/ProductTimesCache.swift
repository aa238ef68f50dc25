import Files
import Foundation

/// Measured times of products, kept in the user's cache folder, so that a machine decides alike each time.
///
/// There is one file per kind of block, processor and version. A file that is missing, damaged or not writable only means that products
/// are measured again.
struct ProductTimesCache {
  /// What the times depend on.
  struct Key: Codable, Equatable {
    let krylens: String
    let processor: String
    let instructionSet: String
    let threads: Int
    let modelType: String
    let types: [String]
    let width: Int
    let feedForwardWidth: Int
    let blockBytes: Int
  }

  private struct Entry: Codable {
    let key: Key
    /// Nil if they could not be measured.
    let times: ProductTimes?
  }

  let folder: String

  private static var decoder: JSONDecoder {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return decoder
  }

  /// The cache in `folder`; by default `krylens` in `XDG_CACHE_HOME`, or in `~/.cache`.
  init(
    folder: String? = nil,
    environment: [String: String] = ProcessInfo.processInfo.environment
  ) {
    let caches = environment["XDG_CACHE_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil }
    self.folder =
      folder
      ?? (caches ?? (environment["HOME"] ?? NSHomeDirectory()) + "/.cache") + "/krylens"
  }

  /// The times of a key, which are measured once; nil if that was not possible.
  func times(_ key: Key, measure: () -> ProductTimes?) -> ProductTimes? {
    let path = path(of: key)
    if let data = FileManager.default.contents(atPath: path),
      let known = try? Self.decoder.decode(Entry.self, from: data), known.key == key,
      known.times?.isValid ?? true
    {
      return known.times
    }
    let times = measure()
    try? FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: true)
    try? recordJSON(Entry(key: key, times: times)).write(
      to: URL(fileURLWithPath: path), options: .atomic)
    return times
  }

  /// The file of a key.
  func path(of key: Key) -> String {
    var hash = ContentHash()
    for text in [key.krylens, key.processor, key.instructionSet, key.modelType] + key.types {
      hash.combine(text)
    }
    for number in [key.threads, key.width, key.feedForwardWidth, key.blockBytes] {
      hash.combine("\(number)")
    }
    return "\(folder)/product-times-\(hash.digits).json"
  }
}
