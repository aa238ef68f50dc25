import Autodiff
import LinearAlgebra

/// The operator of a map, for one prompt or averaged over several.
///
/// The rows of a prompt's input are consecutive, and so are those of its output; several prompts share one input, and
/// their outputs are averaged. The blocks in between form one program with rows at all tokens that a change can
/// reach, so the map is exact. Cost: a forward pass of the prompts, and a second one of the map's rows; an
/// application then costs the products of these rows, for all prompts in one reading of the weights.
///
/// Throws `MapError`, and `ModelError` as `HiddenStates` does.
public func linearize<S: RealScalar>(
  _ map: JacobianMap, of prompts: [ModelInput], in model: some Transformer,
  as precision: S.Type = Float.self
) throws -> Linearization<S> {
  guard !prompts.isEmpty else { throw MapError.noPrompts }
  try map.check(model)
  var states = try HiddenStates<S>(inputs: prompts, in: model)
  let maps = try prompts.indices.map {
    try ResolvedMap(map, of: model.description, tokens: states.tokens(ofPrompt: $0))
  }
  guard
    maps.allSatisfy({ $0.inputShape == maps[0].inputShape })
      && maps.allSatisfy({ $0.outputShape == maps[0].outputShape })
  else { throw MapError.shapesDiffer(maps.map(\.tokens)) }
  let points = try states.points(of: model, from: map.fromLayer, to: maps[0].lastBlock)

  let sources = maps.map(\.fromTokens)
  let constants =
    map.part.isMLP
    ? points[0].middle(of: model, sources) : (points.first?.rows ?? states.rows)(picks(sources))
  let (rows, columns) = maps[0].inputShape
  return try linearize(
    { input in
      let entered = Variable(constants) + input.taken(maps.flatMap(\.entries))
      var (x, tokens) = (entered, sources)
      var program = MapProgram(model, points)
      for point in points {
        let next = maps.map { point.layer == maps[0].lastBlock - 1 ? $0.toTokens : $0.between }
        x = program.through(point, x, from: tokens, to: next, maps[0])
        tokens = next
      }
      let targets = maps.map(\.toTokens)
      if points.isEmpty { x = x.moved(from: sources, to: targets, constants: states.rows) }
      x = try model.output(x, at: map.to)
      if maps[0].subtractsIdentity && points.count > 1 { x = x - entered }
      return x.averaged(maps)
    }, at: Matrix(rows: rows, columns: columns), rules: map.rules,
    // Of several blocks they would be as many matrices.
    fusesLinearMaps: points.count == 1)
}

/// The maps from several boundaries side by side, each summed over its source and output tokens: K = [J_a … J_z].
///
/// Row l of the input (boundaries, width) is added to the states at the l-th boundary of every token except the first
/// `skipping` of every prompt; the output (1, width or vocabulary) is the sum over all tokens of all prompts at the
/// end, times `scale`. So one product K v costs one pass through the blocks, however many boundaries there are, and
/// one product Kᵀ u gives J_lᵀ u for all l. Without a destination the map ends after the last block. Boundaries must
/// ascend. Throws as `linearize` does.
public func linearizeBoundaries<S: RealScalar>(
  _ boundaries: [Int], to destination: JacobianMap.Destination? = nil,
  skipping: Int = 0, of prompts: [ModelInput], in model: some Transformer, scale: Double = 1,
  as precision: S.Type = Float.self
) throws -> Linearization<S> {
  guard !prompts.isEmpty, let first = boundaries.first else { throw MapError.noPrompts }
  precondition(zip(boundaries, boundaries.dropFirst()).allSatisfy(<), "boundaries must ascend")
  var states = try HiddenStates<S>(inputs: prompts, in: model)
  var map = JacobianMap(
    fromLayer: first, to: destination ?? .layer(model.description.layers),
    fromTokens: .all(skipping: skipping), toTokens: .all())
  map.reduction = .sum
  map.tiesSources = true
  let maps = try prompts.indices.map {
    try ResolvedMap(map, of: model.description, tokens: states.tokens(ofPrompt: $0))
  }
  let end = maps[0].lastBlock
  guard let last = boundaries.last, last <= end else {
    throw MapError.noBoundary(boundaries.last ?? 0, layers: end)
  }
  let points = try states.points(of: model, from: first, to: end)
  let tokens = maps.map(\.between)
  let constants = (points.first?.rows ?? states.rows)(picks(tokens))
  // The rows of the sources among all tokens in between.
  var (places, start) = ([Int](), 0)
  for map in maps {
    let between = map.between
    places += map.fromTokens.map { start + $0 - between[0] }
    start += between.count
  }
  return try linearize(
    { input in
      var x = Variable(constants)
      var program = MapProgram(model, points)
      func enter(_ boundary: Int) {
        guard let row = boundaries.firstIndex(of: boundary) else { return }
        let entry = input.rows(places.map { _ in row })
        x = x + (places.count == start ? entry : entry.scatter(to: places, of: start))
      }
      for point in points {
        enter(point.layer)
        x = program.through(point, x, from: tokens, to: tokens, maps[0])
      }
      enter(end)
      x = try model.output(x, at: map.to)
      return S(scale) * x.scatter(to: Array(repeating: 0, count: x.rows), of: 1)
    }, at: Matrix(rows: boundaries.count, columns: model.description.width))
}

/// The blocks of a map as one program.
private struct MapProgram<S: RealScalar> {
  private let model: any Transformer
  /// The contexts of the blocks passed so far.
  private var contexts: [Int: AttentionContext<S>] = [:]

  init(_ model: any Transformer, _ points: [BlockPoint<S>]) { self.model = model }

  /// The output of the point's block at tokens `to` of every prompt, for states at tokens `from` that enter it; only
  /// what the block, or a part of it, adds if that is the whole map.
  mutating func through(
    _ point: BlockPoint<S>, _ x: Variable<S>, from: [[Int]], to: [[Int]], _ map: ResolvedMap
  ) -> Variable<S> {
    let block = model.block(point.layer)
    let targets = map.map.part.isMLP ? from : to
    let context = point.context(
      zip(from, targets).enumerated().map { ($0, $1.0, $1.1) },
      earlier: model.keyValueSource(ofBlock: point.layer).flatMap { contexts[$0] })
    contexts[point.layer] = context
    let stream =
      from == targets
      ? ResidualStream(x)
      : ResidualStream(source: x, target: x.moved(from: from, to: to, constants: point.rows))
    switch map.map.part {
    case .attention, .head: return block.attention(stream, in: context)
    case .mlp, .expert:
      let added = block.mlp(x, in: context)
      return added.moved(from: from, to: to) { Matrix(rows: $0.count, columns: added.columns) }
    case .block:
      let update = block.update(stream, in: context)
      // If the map is a single block, f itself is the result; adding the stream and subtracting it again would round.
      let isWhole = map.subtractsIdentity && map.lastBlock == map.map.fromLayer + 1
      return isWhole ? update : stream.target + update
    }
  }
}

extension JacobianMap {
  /// The factors that are held.
  fileprivate var rules: LinearizationRules {
    var rules = linearization.rules
    if case .head(let head) = part { rules.head = head }
    if case .expert(let expert) = part { rules.expert = expert }
    return rules
  }

  /// Throws `MapError` unless the model has the head or expert, and the logits, that the map refers to.
  public func check(_ model: some Transformer) throws(MapError) {
    if to.isLogits, !model.predictsTokens { throw .noLogits }
    guard (0..<model.description.layers).contains(fromLayer) else { return }
    let (block, layer) = (model.block(fromLayer), fromLayer + 1)
    switch part {
    case .head(let head) where !(0..<block.headCount).contains(head):
      throw .noHead(head, count: block.headCount, layer: layer)
    case .expert(let expert) where !(0..<block.expertCount).contains(expert):
      throw .noExpert(expert, count: block.expertCount, layer: layer)
    default: return
    }
  }
}

extension JacobianMap.Destination {
  fileprivate var isLogits: Bool {
    switch self {
    case .logits, .logitDifference: true
    case .layer, .finalNorm: false
    }
  }
}

extension JacobianMap.Part {
  /// Whether the map starts at Z, the state after the attention half, and acts token by token.
  fileprivate var isMLP: Bool {
    switch self {
    case .mlp, .expert: true
    case .block, .attention, .head: false
    }
  }
}

extension ResolvedMap {
  /// The index of the input row that is added to each source token.
  fileprivate var entries: [Int] {
    map.tiesSources ? fromTokens.map { _ in 0 } : Array(fromTokens.indices)
  }
}

/// Tokens of every prompt, each with the index of its prompt.
private func picks(_ tokens: [[Int]]) -> [(prompt: Int, token: Int)] {
  tokens.enumerated().flatMap { prompt, tokens in tokens.map { (prompt, $0) } }
}

extension HiddenStates {
  /// Passes through the blocks before `to` and returns the points of those from `from` on.
  fileprivate mutating func points(
    of model: some Transformer, from: Int, to: Int
  ) throws -> [BlockPoint<Scalar>] {
    var points: [BlockPoint<Scalar>] = []
    for layer in 0..<to {
      let point = try advance(through: model)
      if layer >= from { points.append(point) }
    }
    return points
  }
}

extension BlockPoint {
  /// The states between the two halves of the block at some tokens of every prompt; in a parallel block, its input.
  fileprivate func middle(of model: some Transformer, _ tokens: [[Int]]) -> Matrix<Scalar> {
    let block = model.block(layer)
    let x = Variable(rows(picks(tokens)))
    guard !block.isParallel else { return x.value }
    let context = context(tokens.enumerated().map { ($0, $1, $1) })
    return (x + block.attention(ResidualStream(x), in: context)).value
  }
}

extension Variable {
  /// Moves rows from tokens `from` to tokens `to` of every prompt; tokens without a row are filled with constants.
  fileprivate func moved(
    from: [[Int]], to: [[Int]], constants: ([(prompt: Int, token: Int)]) -> Matrix<Scalar>
  ) -> Variable {
    guard from != to else { return self }
    var row: [[Int: Int]] = []
    var start = 0
    for tokens in from {
      row.append(Dictionary(uniqueKeysWithValues: zip(tokens, start...)))
      start += tokens.count
    }
    let targets = picks(to)
    let sources = targets.map { row[$0.prompt][$0.token] }
    let taken = sources.compactMap { $0 }
    if taken.count == targets.count { return rows(taken) }
    var held = constants(targets)
    guard !taken.isEmpty else { return Variable(held) }
    let places = sources.indices.filter { sources[$0] != nil }
    for place in places {
      let part = place * held.columns..<(place + 1) * held.columns
      held.elements.replaceSubrange(part, with: repeatElement(0, count: part.count))
    }
    return rows(taken).scatter(to: places, of: targets.count) + Variable(held)
  }

  /// The rows with these indices; the variable itself if these are all its rows.
  fileprivate func taken(_ indices: [Int]) -> Variable {
    indices == Array(0..<rows) ? self : rows(indices)
  }

  /// The rows of all prompts, one prompt after another, reduced according to the maps and averaged over the prompts.
  fileprivate func averaged(_ maps: [ResolvedMap]) -> Variable {
    let (map, rows) = (maps[0].map, maps[0].outputShape.rows)
    guard maps.count > 1 || map.reduction != .none else { return self }
    let places = maps.flatMap { $0.toTokens.indices.map { map.reduction == .none ? $0 : 0 } }
    var factors: [Scalar] = []
    for map in maps {
      let tokens = map.map.reduction == .mean ? map.toTokens.count : 1
      factors += map.toTokens.map { _ in Scalar(1 / Double(maps.count * tokens)) }
    }
    var i = -1
    let weighted = self.map { x in
      i += 1
      let factor = factors[i % factors.count]
      return (factor * x, factor)
    }
    return weighted.scatter(to: places, of: rows)
  }
}

extension Transformer {
  /// Whether the model has a head that predicts tokens. Costs the logits of one state.
  public var predictsTokens: Bool {
    logits(Variable(Matrix<Float>(rows: 1, columns: description.width))) != nil
  }

  /// The states after the last block of a map, carried on to its destination.
  fileprivate func output<S: RealScalar>(
    _ x: Variable<S>, at destination: JacobianMap.Destination
  ) throws(MapError) -> Variable<S> {
    switch destination {
    case .layer: return x
    case .finalNorm: return finalNorm(x)
    case .logits, .logitDifference:
      guard let logits = logits(finalNorm(x)) else { throw .noLogits }
      guard case .logitDifference(let first, let second) = destination else { return logits }
      return logits.gather(columns: [first]) - logits.gather(columns: [second])
    }
  }
}
