import Lanczos

extension KeyedDecodingContainer {
  /// Runs of earlier versions did not look for triplets that a solve had missed.
  func decode(_ type: CertifyMode.Type, forKey key: Key) throws -> CertifyMode {
    try decodeIfPresent(type, forKey: key) ?? .off
  }
}
