import Analysis
import CKrylensHeader
import Foundation
import LinearAlgebra

/// The text of an argument. Throws `Failure`.
func text(_ argument: UnsafePointer<CChar>?, _ name: String) throws(Failure) -> String {
  guard let argument else { throw .argument("\(name) is NULL; give a text") }
  guard let text = String(validatingCString: argument) else {
    throw .argument("\(name) is not valid UTF-8; encode it as such")
  }
  return text
}

/// Where a call puts a result. Throws `Failure`.
func output<Value>(
  _ argument: UnsafeMutablePointer<Value>?, _ name: String
) throws(Failure) -> UnsafeMutablePointer<Value> {
  guard let argument else {
    throw .argument("\(name) is NULL; give a place for the result")
  }
  return argument
}

/// A copy of a text that the caller frees. Throws `Failure`.
func returned(_ text: String) throws(Failure) -> UnsafeMutablePointer<CChar> {
  guard let copy = strdup(text) else {
    throw Failure(KRYLENS_FAILED, "no memory is left for the answer")
  }
  return copy
}

/// A structured answer that the caller frees: keys in snake case, as in `result.json`.
func returned(json value: some Encodable) throws -> UnsafeMutablePointer<CChar> {
  try returned(String(decoding: try recordJSON(value), as: UTF8.self))
}

/// Whether no number is NaN or infinite. No way out of the loop, so that it takes several numbers at a time.
@_specialize(where Scalar == Float)
@_specialize(where Scalar == Double)
func allFinite<Scalar: RealScalar>(_ numbers: UnsafeBufferPointer<Scalar>) -> Bool {
  var allFinite = true
  for x in numbers where !(x.magnitude < .infinity) { allFinite = false }
  return allFinite
}
