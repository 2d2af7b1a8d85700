#![forbid(unsafe_code)]

pub mod config;
pub mod home;
pub mod network;
