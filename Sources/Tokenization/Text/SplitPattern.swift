/// A regular expression as tokenizers split text with, matched in linear time.
///
/// The first alternative that matches wins, repetition is greedy and gives back what the rest needs, as in
/// Oniguruma, which the published patterns are written for. The text is Unicode scalars. What is understood:
/// literals, `[…]`, `.`, `\s` `\d` `\p{category}` and their complements, `(…)`, `(?:…)`, `(?i:…)` over ASCII, `|`,
/// `? * + {m,n}`, possessive `?+ *+ ++`, the look-ahead at one scalar `(?=…)` `(?!…)`, and `$` (before a line feed,
/// or at the end). Anything else is refused rather than guessed at, and so is a pattern that can match nothing at
/// all.
///
/// **Cost.** Matching is by backtracking, and every choice is remembered: whether a state leads to a match from a
/// position does not depend on how it was reached, so no fork of the program is taken twice at one position:
/// O(states · scalars) for all matches of a piece together. R. Cox, "Regular expression matching: the virtual
/// machine approach", 2009.
struct SplitPattern: Sendable {
  /// One step of the program.
  enum Instruction: Equatable, Sendable {
    /// The next scalar is in the class.
    case scalar(ScalarClass)
    /// The next scalar exists and is in the class, which must be as said; it is not consumed.
    case lookahead(ScalarClass, isIn: Bool)
    /// The next scalar is a line feed, or there is none.
    case lineEnd
    /// Go on at `preferred`; should that fail, at `otherwise`. `number` counts the forks.
    case fork(preferred: Int, otherwise: Int, number: Int)
    /// Go on there.
    case jump(Int)
    /// The end of a match.
    case match
  }

  /// What can be wrong with a pattern.
  struct SyntaxError: Error, Equatable {
    let reason: String
  }

  private(set) var program: [Instruction] = []
  private(set) var forks = 0

  /// Compiles a pattern.
  init(_ pattern: String) throws(SyntaxError) {
    var parser = SplitPatternParser(pattern)
    try self.init(parser.parse())
  }

  /// The pattern of one class, once.
  init(_ scalars: ScalarClass) { program = [.scalar(scalars), .match] }

  /// The pattern of a text that stands for itself.
  init(literal: String) throws(SyntaxError) {
    try self.init(
      .sequence(literal.unicodeScalars.map { .scalar(ScalarClass(ranges: [$0.value...$0.value])) }))
  }

  private init(_ node: SplitPatternNode) throws(SyntaxError) {
    // A match of nothing has no place among pieces, and the argument for the shared memory of failures needs
    // every match to advance.
    guard node.canConsumeNothing == false else {
      throw SyntaxError(reason: "it matches the empty text")
    }
    // Far more than any published pattern needs; bounds what `{m,n}` in a hostile one can unroll to.
    var budget = 10_000
    try emit(node, budget: &budget)
    program.append(.match)
  }

  private mutating func emit(_ node: SplitPatternNode, budget: inout Int) throws(SyntaxError) {
    budget -= 1
    guard budget > 0 else { throw SyntaxError(reason: "it is too long") }
    switch node {
    case .scalar(let scalars): program.append(.scalar(scalars))
    case .lookahead(let scalars, let isIn): program.append(.lookahead(scalars, isIn: isIn))
    case .lineEnd: program.append(.lineEnd)
    case .sequence(let nodes): for node in nodes { try emit(node, budget: &budget) }
    case .choice(let nodes):
      var jumps: [Int] = []
      for node in nodes.dropLast() {
        let fork = reserveFork()
        try emit(node, budget: &budget)
        jumps.append(program.count)
        program.append(.match)  // becomes a jump to the end of the choice
        setFork(fork, preferred: fork + 1, otherwise: program.count)
      }
      if let last = nodes.last { try emit(last, budget: &budget) }
      for jump in jumps { program[jump] = .jump(program.count) }
    case .repetition(let node, let minimum, let maximum):
      for _ in 0..<minimum { try emit(node, budget: &budget) }
      if let maximum {
        // x{0,2} = (x(x)?)?: every fork leaves for the same end.
        var exits: [Int] = []
        for _ in minimum..<max(minimum, maximum) {
          exits.append(reserveFork())
          try emit(node, budget: &budget)
        }
        for fork in exits { setFork(fork, preferred: fork + 1, otherwise: program.count) }
      } else {
        let fork = reserveFork()
        try emit(node, budget: &budget)
        program.append(.jump(fork))
        setFork(fork, preferred: fork + 1, otherwise: program.count)
      }
    }
  }

  private mutating func reserveFork() -> Int {
    program.append(.fork(preferred: 0, otherwise: 0, number: forks))
    forks += 1
    return program.count - 1
  }

  private mutating func setFork(_ position: Int, preferred: Int, otherwise: Int) {
    guard case .fork(_, _, let number) = program[position] else { return }
    program[position] = .fork(preferred: preferred, otherwise: otherwise, number: number)
  }
}

/// A pattern as a tree.
indirect enum SplitPatternNode: Equatable {
  case scalar(ScalarClass)
  case lookahead(ScalarClass, isIn: Bool)
  case lineEnd
  case sequence([SplitPatternNode])
  case choice([SplitPatternNode])
  case repetition(SplitPatternNode, minimum: Int, maximum: Int?)

  /// Whether it can match without consuming a scalar.
  var canConsumeNothing: Bool {
    switch self {
    case .scalar: false
    case .lookahead, .lineEnd: true
    case .sequence(let nodes): nodes.allSatisfy(\.canConsumeNothing)
    case .choice(let nodes): nodes.contains(where: \.canConsumeNothing)
    case .repetition(let node, let minimum, _): minimum == 0 || node.canConsumeNothing
    }
  }
}

/// Finds the matches of a pattern; keeps its memory from piece to piece.
struct SplitPatternMatcher {
  private let pattern: SplitPattern
  /// Bit (fork, position): that fork has been taken there, so it leads to no match from there.
  private var taken: [UInt64] = []
  /// Where to go on after a failure.
  private var alternatives: [(instruction: Int, position: Int)] = []
  /// Forks taken so far, the measure of work.
  private(set) var steps = 0

  /// A matcher of a pattern.
  init(_ pattern: SplitPattern) { self.pattern = pattern }

  /// The matches in `text[piece]`, from the left, none overlapping, as if the piece were all there is.
  mutating func matches(
    in text: [UInt32], traits: [ScalarTraits], piece: Range<Int>
  ) -> [Range<Int>] {
    let words = (pattern.forks * (piece.count + 1) + 63) / 64
    if taken.count < words { taken = [UInt64](repeating: 0, count: words) }
    for i in 0..<words { taken[i] = 0 }

    var result: [Range<Int>] = []
    var start = piece.lowerBound
    while start < piece.upperBound {
      if let end = end(of: start, in: text, traits: traits, piece: piece) {
        result.append(start..<end)
        start = end
      } else {
        start += 1
      }
    }
    return result
  }

  /// Where the match beginning at `start` ends.
  ///
  /// What is remembered outlives a match: a fork on the way to a match that ended at e was taken at a position ≤ e.
  /// One taken at e itself led to the match without consuming more; were it reachable from the start at e, which it
  /// would have to be without consuming either, the pattern would match nothing, and such patterns are refused.
  private mutating func end(
    of start: Int, in text: [UInt32], traits: [ScalarTraits], piece: Range<Int>
  ) -> Int? {
    alternatives.removeAll(keepingCapacity: true)
    alternatives.append((0, start))
    while var (instruction, position) = alternatives.popLast() {
      attempt: while true {
        switch pattern.program[instruction] {
        case .scalar(let scalars):
          guard position < piece.upperBound,
            scalars.contains(text[position], traits: traits[position])
          else { break attempt }
          position += 1
          instruction += 1
        case .lookahead(let scalars, let isIn):
          let found =
            position < piece.upperBound
            && scalars.contains(text[position], traits: traits[position])
          guard found == isIn else { break attempt }
          instruction += 1
        case .lineEnd:
          guard position == piece.upperBound || text[position] == 0x0A else { break attempt }
          instruction += 1
        case .fork(let preferred, let otherwise, let number):
          let bit = number * (piece.count + 1) + position - piece.lowerBound
          guard taken[bit >> 6] & (1 << UInt64(bit & 63)) == 0 else { break attempt }
          taken[bit >> 6] |= 1 << UInt64(bit & 63)
          steps += 1
          alternatives.append((otherwise, position))
          instruction = preferred
        case .jump(let target): instruction = target
        case .match: return position
        }
      }
    }
    return nil
  }
}
