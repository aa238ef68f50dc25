// swift-tools-version: 6.2
import PackageDescription

let mpi = TargetDependencyCondition.when(traits: ["MPI"])

// One direction, no way back: an arrow of `dependencies` never points to a module further down.
let package = Package(
  name: "krylens",
  platforms: [.macOS(.v26)],
  products: [
    .executable(name: "krylens", targets: ["krylens"]),
    .library(name: "LinearAlgebra", targets: ["LinearAlgebra"]),
    .library(name: "Processes", targets: ["Processes"]),
    .library(name: "Weights", targets: ["Weights"]),
    .library(name: "Files", targets: ["Files"]),
    .library(name: "Autodiff", targets: ["Autodiff"]),
    .library(name: "Lanczos", targets: ["Lanczos"]),
    .library(name: "Checkpoint", targets: ["Checkpoint"]),
    .library(name: "Tokenization", targets: ["Tokenization"]),
    .library(name: "Images", targets: ["Images"]),
    .library(name: "Model", targets: ["Model"]),
    .library(name: "Alignment", targets: ["Alignment"]),
    .library(name: "Analysis", targets: ["Analysis"]),
    .library(name: "Studies", targets: ["Studies"]),
    .library(name: "Report", targets: ["Report"]),
    .library(name: "CKrylens", type: .dynamic, targets: ["CKrylens"]),
  ],
  traits: [
    .trait(
      name: "MPI",
      description: "Share runs among the processes of mpirun or srun (Open MPI and PARPACK).")
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-numerics", from: "1.1.0"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/swiftcsv/SwiftCSV", from: "0.10.0"),
  ],
  targets: [
    .systemLibrary(
      name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
    .systemLibrary(
      name: "CARPACK", pkgConfig: "arpack", providers: [.apt(["libarpack2-dev"])]),
    .systemLibrary(
      name: "CMPI", pkgConfig: "ompi-c", providers: [.apt(["libopenmpi-dev"])]),
    .systemLibrary(
      name: "CPARPACK", pkgConfig: "parpack", providers: [.apt(["libparpack2-dev"])]),
    .systemLibrary(
      name: "CUTF8Proc", pkgConfig: "libutf8proc", providers: [.apt(["libutf8proc-dev"])]),
    .systemLibrary(
      name: "CXXHash", pkgConfig: "libxxhash", providers: [.apt(["libxxhash-dev"])]),
    .systemLibrary(name: "CPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"])]),
    .systemLibrary(name: "CJPEG", pkgConfig: "libjpeg", providers: [.apt(["libjpeg-dev"])]),
    .target(name: "CImages", dependencies: ["CPNG", "CJPEG"]),
    .target(name: "CKernels"),
    .target(name: "CMappedFile"),
    .target(
      name: "LinearAlgebra",
      dependencies: [
        "COpenBLAS", .product(name: "RealModule", package: "swift-numerics"),
        .product(name: "ComplexModule", package: "swift-numerics"),
      ]),
    .target(name: "Processes", dependencies: ["LinearAlgebra"]),
    .target(
      name: "MPIProcesses",
      dependencies: ["Processes", .target(name: "CMPI", condition: mpi)]),
    .target(name: "Weights", dependencies: ["LinearAlgebra", "CKernels"]),
    .target(name: "Autodiff", dependencies: ["LinearAlgebra", "Processes", "Weights"]),
    .target(
      name: "Lanczos",
      dependencies: [
        "LinearAlgebra", "Processes", "MPIProcesses", "Weights", "CARPACK", "COpenBLAS",
        .target(name: "CPARPACK", condition: mpi),
        .product(name: "ComplexModule", package: "swift-numerics"),
      ]),
    .target(
      name: "Files",
      dependencies: [
        "CMappedFile", "CXXHash",
        .product(name: "OrderedCollections", package: "swift-collections"),
      ]),
    .target(name: "Checkpoint", dependencies: ["Files", "LinearAlgebra", "Weights"]),
    .target(
      name: "Tokenization",
      dependencies: [
        "Files", "Checkpoint", "CUTF8Proc",
        .product(name: "HeapModule", package: "swift-collections"),
      ]
    ),
    .target(name: "Images", dependencies: ["CImages"]),
    .target(
      name: "Model",
      dependencies: ["Autodiff", "Files", "Checkpoint", "Images", "Processes", "Weights"]),
    .target(
      name: "Alignment",
      dependencies: [
        "LinearAlgebra", "Weights", .product(name: "RealModule", package: "swift-numerics"),
      ]),
    .target(
      name: "Analysis",
      dependencies: [
        "Model", "Images", "Lanczos", "Alignment", "Tokenization", "Files", "Checkpoint",
        "Processes", "MPIProcesses", "Weights",
      ]),
    .target(name: "Studies", dependencies: ["Analysis", "Alignment"]),
    .target(
      name: "Report", dependencies: ["Studies", "Analysis", "Alignment", "Files", "Checkpoint"],
      // In the code and not in a bundle: the command stays one file.
      resources: [
        .embedInCode("Resources/page.css"), .embedInCode("Resources/drawing.js"),
        .embedInCode("Resources/charts.js"), .embedInCode("Resources/lines.js"),
        .embedInCode("Resources/page.js"),
      ]),
    .systemLibrary(name: "CKrylensHeader"),
    .target(
      name: "CKrylens",
      dependencies: [
        "CKrylensHeader", "Analysis", "Model", "Lanczos", "Alignment", "Autodiff", "Files",
        "LinearAlgebra", "Weights",
      ]),
    .executableTarget(
      name: "krylens",
      dependencies: [
        "Analysis", "Studies", "Report", "Processes", "MPIProcesses",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "SwiftCSV", package: "SwiftCSV"),
      ]),

    .executableTarget(
      name: "thin-products", dependencies: ["CKernels", "COpenBLAS"],
      path: "benchmarks/thin-products"),
    .executableTarget(
      name: "solvers", dependencies: ["Lanczos", "LinearAlgebra"],
      path: "benchmarks/solvers", exclude: ["peers.py", "peers.R"]),
    .executableTarget(
      name: "truth", dependencies: ["Lanczos", "LinearAlgebra", "Weights"],
      path: "benchmarks/truth"),

    .target(
      name: "TestSupport", dependencies: ["LinearAlgebra", "Processes"], path: "Tests/TestSupport"),
    .testTarget(name: "TestSupportTests", dependencies: ["TestSupport"]),
    .testTarget(name: "ProcessesTests", dependencies: ["Processes", "TestSupport"]),
    .testTarget(
      name: "CKernelsTests",
      dependencies: ["LinearAlgebra", "Weights", "CKernels", "TestSupport"],
      exclude: ["make_fixtures.py"],
      resources: [.copy("Fixtures")]),
    .testTarget(name: "LinearAlgebraTests", dependencies: ["LinearAlgebra", "TestSupport"]),
    .testTarget(
      name: "AutodiffTests",
      dependencies: ["Autodiff", "Lanczos", "Processes", "Weights", "TestSupport"]),
    .testTarget(
      name: "LanczosTests",
      dependencies: [
        "Lanczos", "LinearAlgebra", "Processes", "TestSupport", "Weights", "truth",
        .product(name: "ComplexModule", package: "swift-numerics"),
      ]),
    .testTarget(
      name: "CheckpointTests", dependencies: ["Checkpoint", "Files", "Weights", "TestSupport"],
      exclude: ["make_fixtures.py", "make_quantized.py", "quantization.py"],
      resources: [.copy("Fixtures")]),
    .testTarget(
      name: "TokenizationTests",
      dependencies: ["Tokenization", "Files", "Checkpoint", "TestSupport"],
      exclude: ["make_fixtures.py"],
      resources: [.copy("Fixtures")]),
    .testTarget(
      name: "ImagesTests", dependencies: ["Images", "LinearAlgebra", "TestSupport"],
      exclude: ["make_fixtures.py"],
      resources: [.copy("Fixtures")]),
    .testTarget(
      name: "ModelTests",
      dependencies: [
        "Model", "Files", "Images", "Lanczos", "Processes", "Weights", "TestSupport",
      ],
      exclude: [
        "make_fixtures.py", "make_family_fixtures.py", "make_gguf.py", "gguf_recurrent.py",
        "make_initialisation.py", "reference.py", "families",
      ],
      resources: [.copy("Fixtures")]),
    .testTarget(
      name: "AlignmentTests", dependencies: ["Alignment", "TestSupport"],
      exclude: ["make_fixtures.py"],
      resources: [.copy("Fixtures")]),
    .testTarget(
      name: "AnalysisTests", dependencies: ["Analysis", "Studies", "Files", "TestSupport"]),
    .testTarget(
      name: "ReportTests",
      dependencies: ["Report", "Studies", "Analysis", "Files", "Checkpoint", "TestSupport"]),
    .testTarget(
      name: "DocumentationTests",
      dependencies: [
        "Autodiff", "Checkpoint", "Files", "Lanczos", "Model", "Tokenization", "Weights",
        "TestSupport",
      ]),
    .testTarget(
      name: "CKrylensTests",
      dependencies: ["CKrylens", "CKrylensHeader", "Analysis", "LinearAlgebra", "TestSupport"],
      exclude: ["process.c"]),
    .testTarget(
      name: "CommandTests",
      dependencies: ["krylens", "Studies", "Analysis", "Files", "Weights", "TestSupport"]),
  ],
  swiftLanguageModes: [.v6]
)

// The sanitizers' builds: some tests, and of the modules what those need.
if let chosen = Context.environment["KRYLENS_TESTS"]?.split(separator: " ") {
  package.targets.removeAll { $0.type == .test && !chosen.contains(Substring($0.name)) }
}
