import Files
import Alignment
import Checkpoint
import Foundation
import Lanczos
import LinearAlgebra
import Model

/// What a run is of: everything that decides its numbers, written down before any of them.
public struct RunManifest: Codable, Sendable {
  /// The version that runs it.
  public let krylens: String
  /// The model.
  public let model: ModelRecord
  /// Every option in force.
  public var settings: RunSettings
  /// The blocks that are linearized, from 1.
  let layers: [Int]
  /// The prompts of this run; of a shard, its part of them.
  var prompts: [PromptHeader]
  /// Of a shard, the whole list of prompts; nil in manifests of earlier versions.
  let promptList: PromptList?
  /// What computed any of it, each kind once; nil in manifests of earlier versions.
  var computedWith: [ProcessorRecord]?

  init(
    krylens: String, model: ModelRecord, settings: RunSettings, layers: [Int],
    prompts: [PromptHeader], promptList: PromptList?, computedWith: [ProcessorRecord]?
  ) {
    self.krylens = krylens
    self.model = model
    self.settings = settings
    self.layers = layers
    self.prompts = prompts
    self.promptList = promptList
    self.computedWith = computedWith
  }

  /// Of a run that has ended.
  init(_ record: RunRecord) {
    self.init(
      krylens: record.krylens, model: record.model, settings: record.settings,
      layers: Array(Set(record.prompts.flatMap { $0.layers.map(\.layer) })).sorted(),
      prompts: record.prompts.map { PromptHeader($0) }, promptList: record.promptList,
      computedWith: record.computedWith)
  }

  /// The groups its prompts go through the blocks in.
  var groups: [PromptGroup] { PromptGroup.groups(prompts.map(\.selections)) }

  /// What keeps another run from going on where this one stopped, if anything does: the setting or the part that differs.
  ///
  /// Settings that no number depends on may differ, and its prompts may be some of this one's.
  func obstacle(to other: RunManifest) throws -> SettingMessage? {
    if let reason = try obstacleBesidesPrompts(to: other) { return reason }
    if let reason = try settings.difference(.shard, from: other.settings) { return reason }
    if let promptList, let list = other.promptList, promptList != list {
      return
        "it has a part of another list of prompts, of \(promptList.count) and not \(list.count)"
    }
    let taken = places(of: other.prompts)
    guard let p = taken.firstIndex(of: nil) else { return nil }
    return "its \(prompts.count) prompts do not include "
      + "\(PromptLabel(number: p + 1, other.prompts[p])) of this one"
  }

  /// Where another run's prompts stand among this one's, each place taken once; nil for one that is not there.
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

  /// What keeps the prompts of both from standing in one run.
  func obstacleBesidesPrompts(to other: RunManifest) throws -> SettingMessage? {
    if krylens != other.krylens {
      return "it was made by version \(krylens), and this is \(other.krylens)"
    }
    if model.fingerprint != other.model.fingerprint {
      return "its model has other weights or another configuration (\(model.source))"
    }
    let decisive = try RecordDifference.all([decisive, other.decisive])
    // Of what follows from another setting, that one is named.
    let given = try RecordDifference.all([settings, other.settings])
      .filter { difference in decisive.contains { $0.key == difference.key } }
    let named = given.isEmpty ? decisive : given
    guard let first = named.first else { return nil }
    return named.dropFirst().reduce(first.message) { "\($0), \($1.message)" }
  }

  /// The settings that decide the numbers, the same for all ways of asking for the same ones.
  private var decisive: NumericSettings {
    var numeric = settings.numeric
    numeric.scope.layers = layers
    // What the encoder read is compared with the prompts, and ranks are known whichever way they were given.
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
  /// The image, if it was one, and a hash of its pixel values.
  let image: String?
  let imageHash: String?
  /// The tokens; of an image there are none.
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

  /// Of a prompt that has been run; one that failed has no selections.
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
  /// As it was given, but text already as tokens.
  init(_ header: PromptHeader) {
    if let ids = header.tokenIds { self = .tokens(ids) } else { self = .image(header.image ?? "") }
  }
}
