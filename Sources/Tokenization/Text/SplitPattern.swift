/// A regular expression with which a tokenizer splits text, matched in linear time.
///
/// The first alternative that matches wins, and repetition is greedy with backtracking, as in Oniguruma, for which the
/// published patterns are written. Patterns match Unicode scalars. Supported are literals, `[…]`, `.`, `\s` `\d`
/// `\p{category}` and their complements, `(…)`, `(?:…)`, `(?i:…)` over ASCII, `|`, `? * + {m,n}`, possessive `?+ *+ ++`,
/// look-ahead at one scalar `(?=…)` `(?!…)`, and `$` (before a line feed or at the end). Anything else is refused rather
/// than guessed at, and so is a pattern that can match the empty text.
///
/// **Cost.** Matching backtracks and remembers every choice: whether a state leads to a match from a position does not depend
/// on how it was reached, so no fork of the program is taken twice at the same position. All matches of a piece together cost
/// O(states · scalars). R. Cox, "Regular expression matching: the virtual machine approach", 2009.
struct SplitPattern: Sendable {
  /// An instruction of the program.
  enum Instruction: Equatable, Sendable {
    /// Consumes the next scalar, which must be in the class.
    case scalar(ScalarClass)
    /// Requires that the next scalar exists and is in the class, or, if `isIn` is false, the opposite; consumes nothing.
    case lookahead(ScalarClass, isIn: Bool)
    /// Requires that the next scalar is a line feed or that there is none.
    case lineEnd
    /// Continues at `preferred` and, if that fails, at `otherwise`. Forks are numbered consecutively.
    case fork(preferred: Int, otherwise: Int, number: Int)
    /// Continues at the given instruction.
    case jump(Int)
    /// Ends a match.
    case match
  }

  /// What is wrong with a pattern, or not supported.
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

  /// A pattern that matches one scalar of a class.
  init(_ scalars: ScalarClass) { program = [.scalar(scalars), .match] }

  /// A pattern that matches a text literally.
  init(literal: String) throws(SyntaxError) {
    try self.init(
      .sequence(literal.unicodeScalars.map { .scalar(ScalarClass(ranges: [$0.value...$0.value])) }))
  }

  private init(_ node: SplitPatternNode) throws(SyntaxError) {
    // An empty match cannot be a piece, and remembering failed forks across matches (see `end`) is sound only if every match
    // advances.
    guard node.canConsumeNothing == false else {
      throw SyntaxError(reason: "it matches the empty text")
    }
    // Far more than any published pattern needs. It bounds how far `{m,n}` in a hostile pattern can be unrolled.
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
        // x{0,2} = (x(x)?)?: all forks exit to the same instruction.
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

/// The syntax tree of a pattern.
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

/// Finds the matches of a pattern; reuses its memory from piece to piece.
struct SplitPatternMatcher {
  private let pattern: SplitPattern
  /// Bit (fork, position) is set if that fork was already taken at that position, and so leads to no match from there.
  private var taken: [UInt64] = []
  /// Where matching continues after a failure, as a stack.
  private var alternatives: [(instruction: Int, position: Int)] = []
  /// The number of forks taken so far, a measure of the work done.
  private(set) var steps = 0

  /// A matcher of a pattern.
  init(_ pattern: SplitPattern) { self.pattern = pattern }

  /// The matches in `text[piece]` from left to right, without overlap, as if the piece were the whole text.
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

  /// The end of the match that begins at `start`; nil if there is none.
  ///
  /// Taken forks stay marked after a match: a fork on the way to a match that ended at e was taken at a position ≤ e. One
  /// taken at e itself led to the match without consuming more. If it were reachable when matching starts at e, which would
  /// also consume nothing, the pattern would match the empty text, and such patterns are refused.
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
