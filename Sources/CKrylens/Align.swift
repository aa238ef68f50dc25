import Alignment
import Analysis
import CKrylensHeader

/// Documented in `krylens.h`.
@c @implementation
public func krylens_align(
  _ settings: UnsafePointer<CChar>?, _ progress: krylens_progress?,
  _ context: UnsafeMutableRawPointer?,
  _ folder: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> krylens_status {
  answer {
    let reader = try SettingsReader(settings)
    let request = try RunRequest(reader)
    let inputs = try reader.prompts(several: .prompts)
    try reader.refuseUnknown()
    let settings = try request.settings()
    let path = request.model.output ?? OutputFolder.defaultPath(settings.name)
    _ = try AlignmentOutcome(
      settings, inputs, into: path, progress: CallerProgress(progress, context),
      meter: MemoryMeter())
    folder?.pointee = try returned(path)
  }
}

extension RunRequest {
  /// Reads the request for a run. Throws `RunError`.
  fileprivate init(_ reader: SettingsReader) throws(RunError) {
    guard let path = try reader.text(.model) else {
      throw .badSetting(.model, reason: "is missing; name a model")
    }
    var model = ModelRequest(model: path)
    try model.read(
      reader, .name, .step, .randomInit, .seed, .encoderPrompt, .encoderTokenIds, .threads,
      .maxMemory, .output)
    self.init(model)
    top = try reader.integer(.top)
    ranks = try reader.integers(.ranks)
    rankShare = try reader.number(.rankShare)
    layers = try reader.integers(.layers)
    kind = try reader.choice(.kind)
    tokens = try reader.tokens(.tokens)
    basisLayer = try reader.integer(.basisLayer)
    fromToken = try reader.token(.fromToken)
    toToken = try reader.token(.toToken)
    shard = try reader.read(.shard, "a part like 2/8") { $0.string.flatMap(Shard.init) }
    site = try reader.choice(.site)
    last = try reader.choice(.last)
    solver = try reader.choice(.solver)
    blockSize = try reader.integer(.blockSize)
    tolerance = try reader.number(.tolerance)
    precision = try reader.choice(.precision)
    certify = try reader.certify()
    sign = try reader.choice(.sign)
    normalisation = try reader.text(.normalisation)
    form = try reader.choice(.form)
    score = try reader.choice(.score)
    diagonal = try reader.choice(.diagonal)
    likePaper = try reader.flag(.likePaper)
    saveHiddenStates = try reader.flag(.saveHiddenStates)
  }
}
