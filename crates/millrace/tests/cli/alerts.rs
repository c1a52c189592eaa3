//! `alerts`: the real binary over a folder that the fan-out's own library has filled.

mod care;
mod channels;
mod looking;
mod plant;
mod quiet;
