//! Random faults under load: schedules from a seed, playing them, shrinking those that fail.

pub mod play;
pub mod schedule;
pub mod shrink;
