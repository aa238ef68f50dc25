import Foundation

/// How much memory the system gives this process.
public enum MemoryLimit {
  /// The smallest of the machine's memory and the limits of the control groups that the process is in, in bytes.
  public static var bytes: Int {
    let machine = Int(clamping: ProcessInfo.processInfo.physicalMemory)
    #if os(Linux)
      let groups = (try? String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8)) ?? ""
      return min(machine, limit(of: groups, under: "/sys/fs/cgroup") ?? machine)
    #else
      return machine
    #endif
  }

  /// The smallest limit of the groups listed in the format of /proc/self/cgroup, version 1 or 2, and of those that contain them;
  /// nil if there is none. A container may see its own group as the root.
  static func limit(of groups: String, under root: String) -> Int? {
    groups.split(separator: "\n").flatMap { line -> [Int] in
      let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3 else { return [] }
      let isFirstVersion = fields[1].split(separator: ",").contains("memory")
      guard isFirstVersion || fields[1].isEmpty else { return [] }
      let folder = isFirstVersion ? "\(root)/memory" : root
      let file = isFirstVersion ? "memory.limit_in_bytes" : "memory.max"
      let names = fields[2].split(separator: "/")
      return (0...names.count).compactMap { depth in
        let path = ([folder] + names.prefix(depth).map(String.init) + [file])
          .joined(separator: "/")
        let text = try? String(contentsOfFile: path, encoding: .utf8)
        // "max" is not a number.
        return text.flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
      }
    }.min()
  }
}
