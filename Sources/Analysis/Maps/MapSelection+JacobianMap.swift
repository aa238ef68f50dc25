import Model

extension MapSelection {
  /// The site, implied by the head or expert if one is given.
  package var partSite: JacobianSite { head != nil ? .attention : expert != nil ? .mlp : site }

  /// The selected map in a model with this many blocks. Throws `RunError.badSetting` for settings that fit no model.
  package func map(in layers: Int) throws(RunError) -> JacobianMap {
    let destination = try destination(layers)
    let end = if case .layer(let layer) = destination { layer } else { layers }
    var map = JacobianMap(
      fromLayer: fromLayer ?? end - 1, to: destination, fromTokens: tokens(fromToken),
      toTokens: tokens(toToken))
    guard skip >= 0 else {
      throw .badSetting(.skip, value: "\(skip)", reason: "must be 0 or more")
    }
    guard skip == 0 || fromToken == .all || toToken == .all else {
      throw .badSetting(
        .skip, value: "\(skip)",
        reason: "applies to \(.fromToken) all or \(.toToken) all; leave it out")
    }
    map.part = try part()
    map.tiesSources = tied
    map.reduction = reduce
    map.linearization = linearization
    map.path = path
    map.keepsIdentity = identity == .keep
    return map
  }

  private func destination(_ layers: Int) throws(RunError) -> JacobianMap.Destination {
    if let ids = logits {
      guard toLayer == nil || toLayer == .logits else {
        throw .badSetting(
          .logits, value: ids.spelled,
          reason: "is a difference of logits; give \(.toLayer) logits, or leave it out")
      }
      guard ids.count == 2, ids[0] != ids[1] else {
        throw .badSetting(
          .logits, value: ids.spelled,
          reason: "must be two token ids, whose difference of logits is taken: 5,7")
      }
      return .logitDifference(ids[0], ids[1])
    }
    switch toLayer {
    case .layer(let layer):
      guard fromLayer != nil || (1...layers).contains(layer) else {
        throw .badSetting(
          .toLayer, value: "\(layer)",
          reason: "must be a boundary from 1 to \(layers), since the model has \(layers) blocks")
      }
      return .layer(layer)
    case .final: return .finalNorm
    case .logits: return .logits
    case nil:
      guard let fromLayer else { return .layer(layers) }
      guard fromLayer < layers else {
        throw .badSetting(
          .fromLayer, value: "\(fromLayer)",
          reason:
            "no block follows boundary \(layers) or a later one; give a boundary from 0 to \(layers - 1), or give the "
            + "end of the map with \(.toLayer)")
      }
      return .layer(fromLayer + 1)
    }
  }

  private func tokens(_ list: TokenList) -> JacobianMap.Tokens {
    switch list {
    case .last: .last
    case .all: .all(skipping: skip)
    case .indices(let indices): .listed(indices)
    }
  }

  private func part() throws(RunError) -> JacobianMap.Part {
    switch (head, expert) {
    case (_?, let expert?):
      throw .badSetting(
        .expert, value: "\(expert)", reason: "and \(.head) cannot be combined; give one of them")
    case (let head?, nil):
      guard site != .mlp else {
        throw .badSetting(
          .head, value: "\(head)", reason: "is a part of \(.site) attention, not of mlp")
      }
      return .head(head)
    case (nil, let expert?):
      guard site != .attention else {
        throw .badSetting(
          .expert, value: "\(expert)", reason: "is a part of \(.site) mlp, not of attention")
      }
      return .expert(expert)
    case (nil, nil):
      return
        switch site
      {
      case .block: .block
      case .attention: .attention
      case .mlp: .mlp
      }
    }
  }
}

extension RunError {
  /// The error of a map in terms of the settings that request it; `label` names the prompt.
  init(_ error: MapError, _ selection: MapSelection, _ label: PromptLabel) {
    let part: SettingKey =
      selection.head != nil ? .head : selection.expert != nil ? .expert : .site
    let token = { (isSource: Bool) in isSource ? SettingKey.fromToken : .toToken }
    switch error {
    case .noBoundary(let layer, let layers):
      let key: SettingKey = selection.fromLayer == layer ? .fromLayer : .toLayer
      self = .badSetting(
        key, value: "\(layer)",
        reason: "the model has the boundaries 0, before block 1, to \(layers), after the last block"
      )
    case .backwards(let from, let to):
      self = .badSetting(
        .toLayer, value: "\(to)",
        reason:
          "must come after \(.fromLayer), which is \(from): a map goes from a boundary to a later one"
      )
    case .noToken(let index, let count, let isSource):
      self = .badSetting(
        token(isSource), value: "\(index)", reason: "\(label) has the tokens 0 to \(count - 1)")
    case .noTokens(let count, let isSource):
      self =
        selection.skip > 0
        ? .badSetting(
          .skip, value: "\(selection.skip)",
          reason:
            "leaves none of the \(count) tokens for \(token(isSource)) all; skip fewer (\(label))")
        : .badSetting(token(isSource), reason: "needs at least one token (\(label))")
    case .unreachable(let from, let to):
      self = .badSetting(
        .toToken, value: "\(to)",
        reason:
          "comes before \(.fromToken) \(from), but under the model's causal mask no token influences "
          + "an earlier one (\(label))")
    case .partOfOneBlock where selection.path == .own:
      self = .badSetting(
        .path, value: "own", reason: "goes through whole blocks; leave \(part) out")
    case .partOfOneBlock:
      self = .badSetting(
        part, value: selection.partValue,
        reason: "is a part of one block; let \(.toLayer) be the boundary after \(.fromLayer)")
    case .noHead(let head, let count, let layer):
      self = .badSetting(
        .head, value: "\(head)", reason: Self.missing("attention heads", count, layer))
    case .noExpert(let expert, let count, let layer):
      self = .badSetting(
        .expert, value: "\(expert)", reason: Self.missing("experts", count, layer))
    case .ownPathOfOneToken:
      self = .badSetting(
        .path, value: "own",
        reason:
          "goes from one token to itself; give the same single token as \(.fromToken) and \(.toToken)"
      )
    case .noLogits:
      self = .badSetting(
        .toLayer, value: "logits",
        reason: "the model has no head that predicts tokens; choose final or a boundary")
    case .noLogit(let id, let vocabulary):
      self = .badSetting(
        .logits, value: "\(id)", reason: "the vocabulary has the ids 0 to \(vocabulary - 1)")
    case .shapesDiffer, .noPrompts: self = .badSetting(.average, reason: "\(error)")
    }
  }

  private static func missing(_ parts: String, _ count: Int, _ layer: Int) -> SettingMessage {
    count == 0
      ? "block \(layer) has no \(parts)"
      : "block \(layer) has \(count) \(parts), 0 to \(count - 1)"
  }
}

extension MapSelection {
  /// The part of a block as it was given.
  fileprivate var partValue: String {
    head.map(String.init) ?? expert.map(String.init) ?? site.rawValue
  }
}

extension [Int] {
  /// The list as options spell it.
  fileprivate var spelled: String { map(String.init).joined(separator: ",") }
}
