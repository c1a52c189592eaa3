//! Channels side by side, as a route has them.

use std::io;

use alert_fanout::channel::console::Console;
use alert_fanout::channel::{AnyChannel, Channel, FailureKind};
use alert_fanout::message::Course;
use alert_fanout::secret::environment::EnvironmentSecrets;
use alert_fanout::secret::{AnySecrets, Keyring};

use crate::support::http::{Reply, Server};
use crate::support::messages::incident;
use crate::support::{Vault, reference, send};

/// A writer whose other end is gone.
struct Gone;

impl io::Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_dead_channel_is_no_matter_to_the_others() {
    let server = Server::start(|_| Reply::with_body(200, "ok")).await;
    let vault = Vault::with("slack", &server.url("/services/x"));
    let channels = [AnyChannel::Console(Console::new("console", Gone)), AnyChannel::Slack(crate::slack::slack(&vault))];
    let mut outcomes = Vec::new();
    for channel in &channels {
        outcomes.push(send(channel, &incident(Course::Opened), &[]).await.map_err(|error| error.kind()).err());
    }
    assert_eq!(outcomes, [Some(FailureKind::Retry { after: None }), None]);
    assert_eq!(channels.each_ref().map(Channel::name), ["console", "slack-ops"]);
}

#[tokio::test]
async fn a_keyring_takes_secrets_from_wherever_they_are_kept() {
    let environment =
        EnvironmentSecrets::from_lookup(|name| (name == "MILLRACE_SECRET_SLACK").then(|| "geheim".to_owned()));
    let keyring = Keyring::new(AnySecrets::Environment(environment));
    assert_eq!(keyring.secret(&reference("slack")).await.unwrap().reveal(), "geheim");
}
