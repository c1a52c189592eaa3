//! Wires the function: configuration, stores, channels, handler. Decides nothing.

use alert_fanout::config::Config;
use alert_fanout::fanout::Fanout;
use alert_fanout::lambda::{self, Connected};
use function::logs;
use function::stores::Stores;

#[tokio::main]
async fn main() -> Result<(), lambda::Error> {
    #[expect(clippy::disallowed_methods, reason = "configuration is read here, by lookup, and nowhere else")]
    let lookup = |name: &str| std::env::var(name).ok();
    logs::init(lookup);
    let config = Config::from_lookup(lookup).inspect_err(logs::fatal)?;
    match &config.stores {
        #[cfg(feature = "embedded")]
        Stores::Folder { dir } => {
            let world = platform::embedded::Local::open(dir).inspect_err(logs::fatal)?;
            let channels = lambda::channels_beside_a_folder(&config, lookup).inspect_err(logs::fatal)?;
            // A folder has no stream that records could be put into.
            lambda::serve(Fanout::new(world, channels, config), ()).await
        }
        #[cfg(not(feature = "embedded"))]
        Stores::Folder { .. } => {
            Err("this build lacks the stores that are configured: feature `embedded` brings them".into())
        }
        Stores::Aws { .. } => {
            let Connected { world, peer, channels } = lambda::connect(&config, lookup).inspect_err(logs::fatal)?;
            let pulses = lambda::pulses(&config, &world);
            lambda::serve(Fanout::new(world, channels, config).with_peer(peer), pulses).await
        }
    }
}
