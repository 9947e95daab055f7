//! frith
fn main() {}
