//! placeholder
#[derive(Debug)]
/// placeholder
pub struct Offload<S>(S);
