//! The program in the container: `model-server train` or `model-server serve`. This file only wires.

use std::process::ExitCode;

use function::logs;
use model_server::program;

fn main() -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "configuration is read here, by lookup, and nowhere else")]
    let lookup = |name: &str| std::env::var(name).ok();
    logs::init(lookup);
    program::run(std::env::args().nth(1).as_deref(), lookup)
}
