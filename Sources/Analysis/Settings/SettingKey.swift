/// The name, as in `result.json`, of what an error can be about: a setting, a prompt's form, or an argument of a study.
///
/// Each interface spells it in its own way for its users.
public enum SettingKey: String, Sendable, CaseIterable, CustomStringConvertible {
  // NumericSettings
  case kind, site, last, tokens, layers, top, ranks, solver, tolerance, precision, certify, seed
  case fromToken = "from_token"
  case toToken = "to_token"
  case basisLayer = "basis_layer"
  case blockSize = "block_size"
  case randomInit = "random_init"
  case encoderPrompt = "encoder_prompt"
  case encoderTokenIds = "encoder_token_ids"
  case rankShare = "rank_share"
  // MapSettings
  case skip, reduce, head, expert, linearization, path, identity, average, tied, logits
  case fromLayer = "from_layer"
  case toLayer = "to_layer"
  case readOut = "read_out"
  // EigenSettings
  case exponents
  // ExecutionSettings
  case model, name, step, shard, slices, threads, output
  case maxMemory = "max_memory"
  case saveHiddenStates = "save_hidden_states"
  // ReadingSettings
  case sign, normalisation, form, score, diagonal
  case likePaper = "like_paper"
  // LensFitSettings
  case dense, oversampling, probes
  case rangePrompts = "range_prompts"
  // Prompts
  case prompt, prompts, image
  case tokenIds = "token_ids"
  // Studies and measurements
  case runs, checkpoints, rank, layer
  /// The current path of the model of a recorded run.
  case modelOfRun = "model_of_run"

  /// The name in backquotes.
  public var description: String { "`\(rawValue)`" }
}
