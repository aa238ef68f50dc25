public import RealModule

/// The two precisions that all code is written for: `Float` for models, `Double` for tests and solvers.
public protocol RealScalar: Real, BinaryFloatingPoint, SIMDScalar, Sendable {}

extension Float: RealScalar {}
extension Double: RealScalar {}
