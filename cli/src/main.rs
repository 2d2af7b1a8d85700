//! The one binary of Logothete.

#![forbid(unsafe_code)]
fn main() {}
