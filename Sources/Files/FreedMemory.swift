import CMappedFile

/// Gives the system back what the allocator keeps of freed memory, so that what the next part of a run takes does not come on
/// top of what the last one left in pieces. Costs a walk over the free lists: for the ends of passes.
public func returnFreedMemory() { cmf_return_freed_memory() }
