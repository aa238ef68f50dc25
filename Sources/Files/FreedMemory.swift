import CMappedFile

/// Lets the process keep freed memory for what asks next, up to `returnFreedMemory`. For a program's first line: it concerns
/// all of the process.
///
/// A pass allocates and frees matrices of some megabytes many times over. glibc maps blocks of such a size anew each time until
/// it has seen a larger one freed, and every page of theirs is zeroed and faulted in again, 50,000 times in a run on SmolLM2.
/// These are the limits it would learn at most (DEFAULT_MMAP_THRESHOLD_MAX, and twice that).
public func keepFreedMemory() { cmf_keep_freed_memory(32 << 20) }

/// Gives the system back what the allocator keeps of freed memory, so that what the next part of a run takes does not come on
/// top of what the last one left in pieces. Costs a walk over the free lists: for the ends of passes.
public func returnFreedMemory() { cmf_return_freed_memory() }
