//! Wires the function: configuration, stores, channels, handler. Decides nothing.

use alert_fanout::config::Config;
use alert_fanout::fanout::Fanout;
use alert_fanout::lambda;

#[tokio::main]
async fn main() -> Result<(), lambda::Error> {
    lambda::init_logs();
    #[expect(clippy::disallowed_methods, reason = "configuration is read here, by lookup, and nowhere else")]
    let lookup = |name: &str| std::env::var(name).ok();
    let config = Config::from_lookup(lookup).inspect_err(lambda::log_fatal)?;
    let (world, channels) = lambda::connect(&config, lookup)?;
    lambda::serve(Fanout::new(world, channels, config)).await
}
