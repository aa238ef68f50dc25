// swift-tools-version: 6.2
import PackageDescription

// The examples of CONTRIBUTING.md as a package: a family, a primitive, a solver and a metric, with public API only.
let package = Package(
  name: "extensions",
  platforms: [.macOS(.v26)],
  dependencies: [.package(name: "krylens", path: "../..")],
  targets: [
    .executableTarget(
      name: "extensions",
      dependencies: ["Autodiff", "Checkpoint", "Lanczos", "LinearAlgebra", "Model", "Weights"].map {
        .product(name: $0, package: "krylens")
      },
      path: "Sources")
  ],
  swiftLanguageModes: [.v6]
)
