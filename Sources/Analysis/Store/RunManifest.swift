import Files
import Alignment
import Checkpoint
import Foundation
import Lanczos
import LinearAlgebra
import Model

/// Everything that determines the numbers of a run, written before any of them is computed.
public struct RunManifest: Codable, Sendable {
  /// The version that runs it.
  public let krylens: String
  /// The model.
  public let model: ModelRecord
  /// All settings in effect.
  public var settings: RunSettings
  /// The blocks that are linearized, from 1.
  let layers: [Int]
  /// The prompts of this run; for a shard, its part of them.
  var prompts: [PromptHeader]
  /// For a shard, the whole list of prompts; nil in manifests of earlier versions.
  let promptList: PromptList?
  /// The kinds of processor that computed any of it, each once; nil in manifests of earlier versions.
  var computedWith: [ProcessorRecord]?
  /// The block size that all of it is solved with, given or chosen by the first processor; nil for the solver's own choice.
  var blockSize: Int?

  init(
    krylens: String, model: ModelRecord, settings: RunSettings, layers: [Int],
    prompts: [PromptHeader], promptList: PromptList?, computedWith: [ProcessorRecord]?,
    blockSize: Int? = nil
  ) {
    self.krylens = krylens
    self.model = model
    self.settings = settings
    self.layers = layers
    self.prompts = prompts
    self.promptList = promptList
    self.computedWith = computedWith
    self.blockSize = blockSize
  }

  /// The manifest of a finished run.
  init(_ record: RunRecord) {
    self.init(
      krylens: record.krylens, model: record.model, settings: record.settings,
      layers: Array(Set(record.prompts.flatMap { $0.layers.map(\.layer) })).sorted(),
      prompts: record.prompts.map { PromptHeader($0) }, promptList: record.promptList,
      computedWith: record.computedWith)
  }

  /// The groups in which the prompts go through the blocks.
  var groups: [PromptGroup] { PromptGroup.groups(prompts.map(\.selections)) }

  /// Why another run cannot resume this one: the setting or the part that differs; nil if it can.
  ///
  /// Settings that no number depends on may differ, and the other run's prompts may be some of this one's.
  func obstacle(to other: RunManifest) throws -> SettingMessage? {
    if let reason = try obstacleBesidesPrompts(to: other) { return reason }
    if let reason = try settings.difference(.shard, from: other.settings) { return reason }
    if let promptList, let list = other.promptList, promptList != list {
      return
        "it has a part of another list of prompts, of \(promptList.count) instead of \(list.count)"
    }
    let taken = places(of: other.prompts)
    guard let p = taken.firstIndex(of: nil) else { return nil }
    return "its \(prompts.count) prompts do not include "
      + "\(PromptLabel(number: p + 1, other.prompts[p])) of this one"
  }

  /// The positions of another run's prompts among this one's, each used once; nil for a prompt that is not there.
  func places(of others: [PromptHeader]) -> [Int?] {
    var free = Dictionary(grouping: prompts.indices) { prompts[$0].read }.mapValues { $0[...] }
    return others.map { other in
      guard
        let place = free[other.read]?.first(where: {
          prompts[$0].selections.isEmpty || prompts[$0].selections == other.selections
        })
      else { return nil }
      free[other.read]?.removeAll { $0 == place }
      return place
    }
  }

  /// Why the prompts of both cannot be in one run, prompts themselves aside.
  func obstacleBesidesPrompts(to other: RunManifest) throws -> SettingMessage? {
    if krylens != other.krylens {
      return "it was made by version \(krylens), but this is version \(other.krylens)"
    }
    if model.fingerprint != other.model.fingerprint {
      return "its model has other weights or another configuration (\(model.source))"
    }
    let decisive = try RecordDifference.all([decisive, other.decisive])
    // Where a difference follows from another setting, only that setting is named.
    let given = try RecordDifference.all([settings, other.settings])
      .filter { difference in decisive.contains { $0.key == difference.key } }
    let named = given.isEmpty ? decisive : given
    guard let first = named.first else { return nil }
    return named.dropFirst().reduce(first.message) { "\($0), \($1.message)" }
  }

  /// The settings that the numbers depend on, in one form for all requests that mean the same.
  private var decisive: NumericSettings {
    var numeric = settings.numeric
    numeric.scope.layers = layers
    // The encoder's input is compared with the prompts, and ranks are known however they were given.
    (numeric.scope.encoderPrompt, numeric.scope.encoderTokenIds) = (nil, nil)
    numeric.solution.rankShare = nil
    let (solver, top) = (numeric.solution.solver, numeric.solution.top)
    numeric.solution.solver = solver.chosen(for: top, width: model.width)
    for token in [\QuantitySettings.fromToken, \.toToken]
    where numeric.quantity[keyPath: token] == .index(-1) {
      numeric.quantity[keyPath: token] = .last
    }
    return numeric
  }
}

/// A prompt as it is run.
struct PromptHeader: Codable, Sendable {
  /// The text, if it was given as text.
  let text: String?
  /// The image, if it was one.
  let image: String?
  /// A hash of the image's pixel values, if it was one.
  let imageHash: String?
  /// The tokens; nil for an image.
  let tokenIds: [Int]?
  /// Their texts as the vocabulary has them; nil without a tokenizer, and in manifests of earlier versions.
  var tokens: [String?]?
  /// The tokens the encoder reads.
  let encoderTokenIds: [Int]?
  /// The Jacobians' tokens.
  let selections: [TokenSelection]

  init(_ given: PromptInput, _ input: ModelInput, _ selections: [TokenSelection]) {
    if case .text(let value, _) = given { text = value } else { text = nil }
    if case .image(let path) = given { image = path } else { image = nil }
    if case .image(let pixels) = input {
      var hash = ContentHash()
      pixels.values.withUnsafeBytes { hash.combine($0) }
      (imageHash, tokenIds) = (hash.digits, nil)
    } else {
      (imageHash, tokenIds) = (nil, input.tokens)
    }
    encoderTokenIds = input.encoderTokens
    self.selections = selections
  }

  /// The header of a prompt that has been run; a failed one has no selections.
  init(_ record: PromptRecord) {
    (text, image, imageHash) = (record.text, record.image, record.imageHash)
    (tokenIds, tokens) = (record.tokenIds, record.tokens)
    encoderTokenIds = record.encoderTokenIds
    selections = record.layers.prefix { $0.layer == record.layers.first?.layer }.map {
      TokenSelection(source: $0.fromToken, target: $0.toToken)
    }
  }
}

extension PromptInput {
  /// The prompt as given, except that text is already tokens.
  init(_ header: PromptHeader) {
    if let ids = header.tokenIds { self = .tokens(ids) } else { self = .image(header.image ?? "") }
  }
}
