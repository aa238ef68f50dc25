import Studies
import Analysis
import TestSupport
import Testing

/// A checkpoint's step is in its name, and a sequence is in the order of the steps.
struct TrainingStepTests {
  @Test(arguments: [
    "step128", "step_128", "step-128", "checkpoint-128", "checkpoint_128", "global_step128",
    "global_step_128", "128", "step00128", "tiny-step128", "pythia-70m.step128", "step128.gguf",
    "runs/step64/step128", "runs/step128/",
  ])
  func namesWithAStep(name: String) { #expect(TrainingStep.named(name) == 128) }

  @Test(arguments: [
    "", "/", "model", "step", "step-", "timestep128", "llama-128", "pythia-70m", "v128", "-128",
    "step128b", "step128/model", "step 128", "step٣", "step99999999999999999999", "Step128",
  ])
  func namesWithoutAStep(name: String) { #expect(TrainingStep.named(name) == nil) }

  @Test func stepZeroIsAStep() { #expect(TrainingStep.named("step0") == 0) }
}

/// The checkpoints found at a list of places.
struct CheckpointSequenceTests {
  /// Creates a folder with models of these names.
  private func folder(_ models: [String]) throws -> ScratchFolder {
    let scratch = try ScratchFolder()
    for model in models {
      try scratch.makeFolder(model)
      try scratch.write([], to: "\(model)/config.json")
    }
    return scratch
  }

  private func steps(_ places: [String]) throws -> [Int] {
    try CheckpointSequence(places).checkpoints.map(\.step)
  }

  /// A refusal whose message contains all of `words`.
  private func expectRefusal(_ places: [String], _ words: [String]) {
    let error = #expect(throws: RunError.self) { try CheckpointSequence(places) }
    for word in words { #expect("\(error.map { "\($0)" } ?? "")".contains(word), "\(word)") }
  }

  @Test func orderedByNumberNotByName() throws {
    let scratch = try folder(["step1000", "step64", "step0", "step128"])
    #expect(try steps([scratch.path]) == [0, 64, 128, 1000])
    #expect(
      try CheckpointSequence([scratch.path + "/"]).checkpoints.map(\.model)
        == ["step0", "step64", "step128", "step1000"].map { scratch[$0] })
  }

  @Test func listsAndFoldersMix() throws {
    let scratch = try folder(["a/step8", "a/step2", "checkpoint-4", "16"])
    #expect(
      try steps([scratch["16"], scratch["a"], scratch["checkpoint-4"]]) == [2, 4, 8, 16])
  }

  @Test func whatIsNoModelDoesNotCount() throws {
    let scratch = try folder(["step1"])
    try scratch.makeFolder("step2")
    try scratch.makeFolder("logs")
    try scratch.write([], to: "losses.csv")
    #expect(try steps([scratch.path]) == [1])
  }

  @Test func filesOfModelsCount() throws {
    let scratch = try folder(["step1"])
    try scratch.write([], to: "step3.gguf")
    #expect(try steps([scratch.path]) == [1, 3])
  }

  @Test func aTrainersFolderIsAModelItself() throws {
    let scratch = try folder(["out", "out/checkpoint-10", "out/checkpoint-20"])
    #expect(try steps([scratch["out"]]) == [10, 20])
  }

  @Test func aNameOnTheHubMayTellTheStep() throws {
    #expect(try steps(["someone/tiny-step20", "someone/tiny-step10"]) == [10, 20])
  }

  @Test func refusals() throws {
    let scratch = try folder(["a/step1", "a/final", "b/step1", "b/step_1", "c/model"])
    try scratch.makeFolder("empty")
    expectRefusal([scratch["a"]], [scratch["a/final"], "without a training step"])
    expectRefusal([scratch["b"]], [scratch["b/step1"], scratch["b/step_1"], "leave one"])
    expectRefusal([scratch["a/step1"], scratch["b/step1"]], ["has the same step, 1"])
    expectRefusal([scratch["c"]], [scratch["c/model"]])
    expectRefusal([scratch["c/model"]], [scratch["c/model"], "step128"])
    expectRefusal([scratch["empty"]], [scratch["empty"], "step128"])
    expectRefusal([scratch["nothing"]], [scratch["nothing"], "step128"])
    expectRefusal([], ["`checkpoints`"])
  }
}
