import Foundation

/// A number of bytes in readable form: `999 bytes`, `37.3 MB`, `2.1 GB`; 1 GB is 10⁹ bytes.
public func spokenBytes(_ count: Int) -> String {
  let units = ["kB", "MB", "GB", "TB", "PB"]
  guard count >= 1000 else { return "\(count) bytes" }
  var (value, unit) = (Double(count) / 1e3, 0)
  // A value that would round to 1000 of a unit is shown as 1 of the next.
  while value >= 999.95, unit + 1 < units.count { (value, unit) = (value / 1e3, unit + 1) }
  return String(format: "%.1f %@", value, units[unit])
}
