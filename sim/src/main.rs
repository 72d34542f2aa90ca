//! The program `oneflight-sim`.

fn main() {}
