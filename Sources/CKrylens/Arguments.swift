import Analysis
import CKrylensHeader
import Foundation
import LinearAlgebra

/// The text of an argument. Throws `Failure`.
func text(_ argument: UnsafePointer<CChar>?, _ name: String) throws(Failure) -> String {
  guard let argument else { throw .argument("\(name) is NULL; give a text") }
  guard let text = String(validatingCString: argument) else {
    throw .argument("\(name) is not valid UTF-8; encode it as UTF-8")
  }
  return text
}

/// The address that a call writes a result to. Throws `Failure`.
func output<Value>(
  _ argument: UnsafeMutablePointer<Value>?, _ name: String
) throws(Failure) -> UnsafeMutablePointer<Value> {
  guard let argument else {
    throw .argument("\(name) is NULL; give an address for the result")
  }
  return argument
}

/// A copy of a text that the caller frees. Throws `Failure`.
func returned(_ text: String) throws(Failure) -> UnsafeMutablePointer<CChar> {
  guard let copy = strdup(text) else {
    throw Failure(KRYLENS_FAILED, "out of memory for the result")
  }
  return copy
}

/// A JSON text that the caller frees, with keys in snake case as in `result.json`.
func returned(json value: some Encodable) throws -> UnsafeMutablePointer<CChar> {
  try returned(String(decoding: try recordJSON(value), as: UTF8.self))
}

/// Whether all numbers are finite. The loop has no early exit, so that it can be vectorised.
@_specialize(where Scalar == Float)
@_specialize(where Scalar == Double)
func allFinite<Scalar: RealScalar>(_ numbers: UnsafeBufferPointer<Scalar>) -> Bool {
  var allFinite = true
  for x in numbers where !(x.magnitude < .infinity) { allFinite = false }
  return allFinite
}
