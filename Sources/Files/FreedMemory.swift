import CMappedFile

/// Lets the process keep freed memory for later allocations, until `returnFreedMemory`. Call it at the start of a program: it
/// affects the whole process.
///
/// A pass repeatedly allocates and frees matrices of a few megabytes. glibc maps blocks of that size again each time until it
/// has seen a larger one freed, and each of their pages is zeroed and faulted in again: 50,000 times in a run on SmolLM2.
/// The thresholds set here are the largest that glibc would adapt to (DEFAULT_MMAP_THRESHOLD_MAX, and twice that). All threads share
/// one heap: with a heap each, what one thread has freed is not there for another, once per thread.
public func keepFreedMemory() { cmf_keep_freed_memory(32 << 20) }

/// Returns the freed memory that the allocator keeps to the system, so that the next part of a run does not need its memory
/// in addition to what the last part left fragmented. It costs a walk over the free lists; call it at the end of a pass.
public func returnFreedMemory() { cmf_return_freed_memory() }
