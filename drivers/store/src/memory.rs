//! placeholder
#[derive(Debug)]
/// placeholder
pub struct MemoryStore;
