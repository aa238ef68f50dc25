/// Parses the notation of a split pattern by recursive descent.
struct SplitPatternParser {
  private let pattern: [Unicode.Scalar]
  private var position = 0
  private var ignoresCase = false
  private var depth = 0

  init(_ pattern: String) { self.pattern = Array(pattern.unicodeScalars) }

  private typealias Failure = SplitPattern.SyntaxError

  private var next: Unicode.Scalar? { position < pattern.count ? pattern[position] : nil }

  private mutating func advance(over scalar: Unicode.Scalar) -> Bool {
    guard next == scalar else { return false }
    position += 1
    return true
  }

  private mutating func advance(over text: StaticString) -> Bool {
    let scalars = text.description.unicodeScalars
    guard pattern[position...].starts(with: scalars) else { return false }
    position += scalars.count
    return true
  }

  private func unsupported(_ what: String) -> Failure {
    Failure(reason: "\(what) at position \(position) is not supported")
  }

  /// Parses the whole pattern.
  mutating func parse() throws(SplitPattern.SyntaxError) -> SplitPatternNode {
    let result = try alternatives()
    guard next == nil else { throw unsupported("an unmatched “)”") }
    return result
  }

  private mutating func alternatives() throws(Failure) -> SplitPatternNode {
    depth += 1
    defer { depth -= 1 }
    guard depth < 32 else { throw unsupported("nesting this deep") }
    var choices = [try sequence()]
    while advance(over: "|" as Unicode.Scalar) { choices.append(try sequence()) }
    return choices.count == 1 ? choices[0] : .choice(choices)
  }

  private mutating func sequence() throws(Failure) -> SplitPatternNode {
    var nodes: [SplitPatternNode] = []
    while let scalar = next, scalar != "|", scalar != ")" { nodes.append(try repetition()) }
    return nodes.count == 1 ? nodes[0] : .sequence(nodes)
  }

  private mutating func repetition() throws(Failure) -> SplitPatternNode {
    let node = try atom()
    let minimum: Int
    let maximum: Int?
    switch next {
    case "?": (minimum, maximum) = (0, 1)
    case "*": (minimum, maximum) = (0, nil)
    case "+": (minimum, maximum) = (1, nil)
    case "{":
      (minimum, maximum) = try counts()
      guard !["?", "*", "+", "{"].contains(next) else { throw unsupported("a double quantifier") }
      return .repetition(node, minimum: minimum, maximum: maximum)
    default: return node
    }
    switch node {
    case .lookahead, .lineEnd: throw unsupported("a quantifier")
    default: position += 1
    }
    if advance(over: "+" as Unicode.Scalar) {
      // Possessive: x++ gives nothing back, which for a single scalar means that no x follows; x?+ takes an x if there is
      // one.
      guard case .scalar(let scalars) = node else { throw unsupported("a possessive group") }
      let none = SplitPatternNode.lookahead(scalars, isIn: false)
      if maximum == 1 { return .choice([node, none]) }
      return .sequence([.repetition(node, minimum: minimum, maximum: nil), none])
    }
    guard !["?", "*", "{"].contains(next) else { throw unsupported("a double quantifier") }
    return .repetition(node, minimum: minimum, maximum: maximum)
  }

  /// Parses `{m}`, `{m,}`, `{,n}` or `{m,n}`.
  private mutating func counts() throws(Failure) -> (Int, Int?) {
    position += 1
    let first = number()
    var last = first
    if advance(over: "," as Unicode.Scalar) {
      last = number()
    } else if first == nil {
      throw unsupported("“{”")
    }
    let minimum = first ?? 0
    guard advance(over: "}" as Unicode.Scalar), last ?? minimum >= minimum,
      first != nil || last != nil
    else { throw unsupported("“{”") }
    return (minimum, last)
  }

  private mutating func number() -> Int? {
    var result: Int?
    while let digit = next.flatMap({ Character($0).wholeNumberValue }), next?.isASCII == true,
      (result ?? 0) < 10_000
    {
      result = (result ?? 0) * 10 + digit
      position += 1
    }
    return result
  }

  private mutating func atom() throws(Failure) -> SplitPatternNode {
    guard let scalar = next else { throw unsupported("the end of the pattern") }
    switch scalar {
    case "(": return try group()
    case "[": return .scalar(try bracket())
    case ".":
      position += 1
      return .scalar(ScalarClass(ranges: [0x0A...0x0A], isNegated: true))
    case "$":
      position += 1
      return .lineEnd
    case "\\": return .scalar(try escape())
    case "^", "?", "*", "+", "{": throw unsupported("“\(scalar)”")
    default:
      position += 1
      return .scalar(try literal(scalar))
    }
  }

  private mutating func group() throws(Failure) -> SplitPatternNode {
    let result: SplitPatternNode
    if advance(over: "(?i:") {
      let outer = ignoresCase
      ignoresCase = true
      result = try alternatives()
      ignoresCase = outer
    } else if advance(over: "(?:") {
      result = try alternatives()
    } else if advance(over: "(?!") {
      result = try lookahead(isIn: false)
    } else if advance(over: "(?=") {
      result = try lookahead(isIn: true)
    } else {
      guard advance(over: "(" as Unicode.Scalar), next != "?", next != "*" else {
        throw unsupported("this kind of group")
      }
      result = try alternatives()
    }
    guard advance(over: ")" as Unicode.Scalar) else { throw unsupported("a missing “)”") }
    return result
  }

  private mutating func lookahead(isIn: Bool) throws(Failure) -> SplitPatternNode {
    guard case .scalar(let scalars) = try alternatives() else {
      throw unsupported("a look-ahead at more than one character")
    }
    return .lookahead(scalars, isIn: isIn)
  }

  /// A scalar that stands for itself, in both cases if case is ignored.
  private func literal(_ scalar: Unicode.Scalar) throws(Failure) -> ScalarClass {
    var result = ScalarClass(ranges: [scalar.value...scalar.value])
    if ignoresCase { try addOtherCase(of: scalar.value...scalar.value, to: &result) }
    return result
  }

  /// Adds the other case of the ASCII letters in a range, and the two scalars beyond ASCII that fold to one: ſ and K.
  private func addOtherCase(
    of range: ClosedRange<UInt32>, to result: inout ScalarClass
  ) throws(Failure) {
    guard range.upperBound < 128 else {
      throw unsupported("ignoring the case of a letter beyond ASCII")
    }
    for letter in range {
      switch letter {
      case 0x41...0x5A, 0x61...0x7A:
        let other = letter ^ 0x20
        result.ranges.append(other...other)
        if letter | 0x20 == 0x73 { result.ranges.append(0x17F...0x17F) }
        if letter | 0x20 == 0x6B { result.ranges.append(0x212A...0x212A) }
      default: break
      }
    }
  }

  /// Parses `\…`, outside brackets or as a member of a bracket expression.
  private mutating func escape() throws(Failure) -> ScalarClass {
    position += 1
    guard let scalar = next else { throw unsupported("the end of the pattern") }
    position += 1
    switch scalar {
    case "s": return ScalarClass(traits: .space)
    case "S": return ScalarClass(traits: .nonSpace)
    case "d", "D":
      return ScalarClass(traits: try categories("Nd"), isNegated: scalar == "D")
    case "p", "P":
      guard advance(over: "{" as Unicode.Scalar) else { throw unsupported("“\\\(scalar)”") }
      var name = ""
      while let letter = next, letter != "}", name.utf8.count < 32 {
        name.unicodeScalars.append(letter)
        position += 1
      }
      guard advance(over: "}" as Unicode.Scalar) else { throw unsupported("“\\\(scalar){”") }
      return ScalarClass(traits: try categories(name), isNegated: scalar == "P")
    case "r": return try literal("\r")
    case "n": return try literal("\n")
    case "t": return try literal("\t")
    case "v": return try literal("\u{0B}")
    case "f": return try literal("\u{0C}")
    case "u": return try literal(try hexadecimal(digits: 4))
    case "x":
      if advance(over: "{" as Unicode.Scalar) {
        let result = try literal(try hexadecimal(digits: nil))
        guard advance(over: "}" as Unicode.Scalar) else { throw unsupported("“\\x{”") }
        return result
      }
      return try literal(try hexadecimal(digits: 2))
    default:
      guard scalar.isASCII, !scalar.properties.isAlphabetic, !("0"..."9").contains(scalar) else {
        throw unsupported("“\\\(scalar)”")
      }
      return try literal(scalar)
    }
  }

  private func categories(_ name: String) throws(Failure) -> ScalarTraits {
    guard let result = ScalarTraits.categories(named: name) else {
      throw unsupported("“\\p{\(name)}”")
    }
    return result
  }

  private mutating func hexadecimal(digits: Int?) throws(Failure) -> Unicode.Scalar {
    var value: UInt32 = 0
    var read = 0
    while read < digits ?? 8, let digit = next.flatMap({ Character($0).hexDigitValue }),
      next?.isASCII == true
    {
      value = value << 4 | UInt32(digit)
      read += 1
      position += 1
    }
    guard read == digits ?? max(read, 1), let scalar = Unicode.Scalar(value) else {
      throw unsupported("a hexadecimal number")
    }
    return scalar
  }

  /// Parses `[…]` or `[^…]`.
  private mutating func bracket() throws(Failure) -> ScalarClass {
    position += 1
    var result = ScalarClass()
    result.isNegated = advance(over: "^" as Unicode.Scalar)
    var isFirst = true
    while true {
      guard let scalar = next else { throw unsupported("a missing “]”") }
      if scalar == "]" && !isFirst { break }
      isFirst = false
      guard scalar != "[", !pattern[position...].starts(with: "&&".unicodeScalars) else {
        throw unsupported("a set within a set")
      }
      let member = try bracketMember(scalar)
      // A range needs a literal on both sides; a hyphen at the end stands for itself.
      if next == "-", position + 1 < pattern.count, pattern[position + 1] != "]",
        let low = member.ranges.first?.lowerBound, !member.isNegated
      {
        position += 1
        guard let scalar = next, let high = try bracketMember(scalar).ranges.first?.lowerBound,
          low <= high
        else { throw unsupported("a range") }
        result.ranges.append(low...high)
        if ignoresCase { try addOtherCase(of: low...high, to: &result) }
      } else if member.isNegated {
        // \P{…} and \D: all other categories. The bits for white space are not categories.
        guard member.ranges.isEmpty else { throw unsupported("a set within a set") }
        result.traits.formUnion(ScalarTraits.categories.subtracting(member.traits))
      } else {
        result.traits.formUnion(member.traits)
        result.ranges += member.ranges
      }
    }
    position += 1
    return result
  }

  private mutating func bracketMember(_ scalar: Unicode.Scalar) throws(Failure) -> ScalarClass {
    if scalar == "\\" { return try escape() }
    position += 1
    return try literal(scalar)
  }
}
