// swift-tools-version: 6.2
import PackageDescription

// A separate package: `swift build` of the toolkit never sees the fuzzers, and run.sh builds them with sanitizers.
// There is one executable per reader, named after it; a folder in Sources and a line in `readers` add another.
let checkpoint = Target.Dependency.product(name: "Checkpoint", package: "krylens")
let files = Target.Dependency.product(name: "Files", package: "krylens")
let tokenization = Target.Dependency.product(name: "Tokenization", package: "krylens")
let model = Target.Dependency.product(name: "Model", package: "krylens")
let readers: [(name: String, dependencies: [Target.Dependency])] = [
  ("safetensors", []),
  ("quantized", []),
  ("gguf", [model, tokenization]),
  ("pytorch", []),
  ("lens", []),
  ("config", [model]),
  ("tokenizer", [tokenization]),
  ("image", [.product(name: "Images", package: "krylens")]),
]
let package = Package(
  name: "fuzz",
  platforms: [.macOS(.v26)],
  dependencies: [.package(name: "krylens", path: "..")],
  targets: [.target(name: "FuzzSupport", dependencies: [checkpoint, files])]
    + readers.map { name, dependencies in
      .executableTarget(
        name: "fuzz-\(name)", dependencies: ["FuzzSupport", checkpoint, files] + dependencies,
        path: "Sources/\(name)")
    },
  swiftLanguageModes: [.v6]
)
