//! Wires the function: configuration, clients of both Regions, checker. Decides nothing.

use function::logs;
use replication_checker::{Config, lambda};

#[tokio::main]
async fn main() -> Result<(), lambda::Error> {
    #[expect(clippy::disallowed_methods, reason = "configuration is read here, by lookup, and nowhere else")]
    let lookup = |name: &str| std::env::var(name).ok();
    logs::init(lookup);
    let config = Config::from_lookup(lookup).inspect_err(logs::fatal)?;
    let sdk = platform::aws::from_environment(lookup).inspect_err(logs::fatal)?;
    Box::pin(lambda::serve(config, sdk)).await
}
