//! The enclave service's command line.
fn main() {}
