//! `tenant`: a tenant and its devices, from the first certificate to the last.
//!
//! The tenant's stack is the matter of the crate `deployment`, things and certificates of `tenancy`; here are the options, the
//! words, and the person who is asked.

mod add;
mod desk;
mod list;
mod remove;
mod revoke;
mod rotate;
mod show;
mod verify;

use std::path::PathBuf;

use crate::deploy::{Environment, Where};
use crate::ui::Ui;

const EXAMPLES: &str = "\
Examples:
  millrace tenant add acme --device pump-7 --device press-3 --email duty@acme.example
  millrace tenant verify acme                        a reading sent over MQTT and followed to the end
  millrace tenant rotate acme --device pump-7        a second certificate; bring it to the device, then
  millrace tenant rotate acme --device pump-7 --finish
  millrace tenant revoke acme --device pump-7        nobody gets in with it any more
  millrace tenant remove acme --export kept/

Every command can be repeated, and goes on where it was interrupted.";

/// The commands.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// Deploy the tenant's stack and bring devices on: things, keys, certificates, profile, onboarding record
    Add(add::Args),
    /// List the tenants of an environment
    List(list::Args),
    /// Show what a tenant has now, and what differs from its onboarding record
    Show(show::Args),
    /// Send a reading as a device does and follow it to the end, step by step
    Verify(verify::Args),
    /// Give devices new keys and certificates; both are valid until --finish
    Rotate(rotate::Args),
    /// Take a certificate out of use for good
    Revoke(revoke::Args),
    /// Export a tenant, then take its devices, certificates and stack away
    Remove(remove::Args),
}

/// Where a tenant is.
#[derive(Debug, clap::Args)]
pub(crate) struct Of {
    /// The tenant
    #[arg(value_name = "NAME", value_parser = tenant)]
    name: String,
    #[command(flatten)]
    environment: Environment,
    #[command(flatten)]
    place: Where,
}

/// Where devices' files are.
#[derive(Debug, clap::Args)]
pub(crate) struct Folder {
    /// Folder of keys and certificates: DIR/TENANT/DEVICE/private.key and certificate.pem
    #[arg(long, value_name = "DIR", default_value = "certificates")]
    certificates: PathBuf,
}

/// Which broker.
#[derive(Debug, clap::Args)]
pub(crate) struct Broker {
    /// The broker to speak to [default: the account's endpoint, port 8883]
    #[arg(long, value_name = "HOST:PORT", value_parser = broker)]
    broker: Option<(String, u16)>,
    /// Root certificates that the broker's is checked with, in PEM [default: this machine's]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

fn tenant(text: &str) -> Result<String, String> {
    // The environment plays no part in whether a name is good.
    tenancy::names::Tenant::new("", text).map(|tenant| tenant.name).map_err(|error| error.to_string())
}

fn device(text: &str) -> Result<String, String> {
    tenancy::names::device_name(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}

fn broker(text: &str) -> Result<(String, u16), String> {
    let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    match parts {
        Some((host, port)) if !host.is_empty() && port > 0 => {
            Ok((host.trim_start_matches('[').trim_end_matches(']').to_owned(), port))
        }
        _ => Err("expected HOST:PORT, such as localhost:8883".to_owned()),
    }
}

/// Does what was asked.
///
/// # Errors
/// The request has mistakes, AWS refuses, an operation fails, a check fails, or a person does not agree.
pub(crate) fn run(command: &Command, ui: &Ui) -> anyhow::Result<()> {
    match command {
        Command::Add(args) => add::run(args, ui),
        Command::List(args) => list::run(args, ui),
        Command::Show(args) => show::run(args, ui),
        Command::Verify(args) => verify::run(args, ui),
        Command::Rotate(args) => rotate::run(args, ui),
        Command::Revoke(args) => revoke::run(args, ui),
        Command::Remove(args) => remove::run(args, ui),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_a_host_and_a_port() {
        assert_eq!(broker("localhost:8883"), Ok(("localhost".to_owned(), 8883)));
        assert_eq!(broker("[::1]:1"), Ok(("::1".to_owned(), 1)));
        for text in ["localhost", ":8883", "host:", "host:0", "host:70000"] {
            assert!(broker(text).is_err(), "{text}");
        }
    }
}
