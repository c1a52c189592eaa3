//! A device's connection: MQTT 5 over mutual TLS, on one thread.
//!
//! MQTT 5 because its broker says that something is refused and goes on, where that of 3.1.1 only hangs up: a test sees what
//! was refused, and that the connection that was refused something else is a good one.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::{Bytes, BytesMut};
use rumqttc::v5::mqttbytes::v5::{
    Connect, ConnectReturnCode, Filter, Packet, PubAckReason, Publish, Subscribe, SubscribeReasonCode,
};
use rumqttc::v5::mqttbytes::{Error as PacketError, QoS};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::identity::Identity;
use crate::world::World;

/// How long the broker may take to answer anything.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);
const KEEP_ALIVE_SECONDS: u16 = 600;
const PACKET_BYTES_MAX: u32 = 256 * 1024;

/// What the broker says to something that it does not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// "Not authorized", reason code 0x87.
    NotAuthorized,
    /// Nothing: it closes the connection.
    Closed,
}

/// What was asked for, or why there is nothing of it. What is neither is an error of the test.
pub type Granted<T> = std::result::Result<T, Refusal>;

/// An open connection.
#[derive(Debug)]
pub struct Device {
    stream: StreamOwned<ClientConnection, TcpStream>,
    read: BytesMut,
    received: VecDeque<Publish>,
    packet: u16,
}

impl Device {
    /// Connects under a client id, with a certificate.
    ///
    /// # Errors
    /// The broker cannot be reached or says something else than yes or no.
    pub fn connect(world: &World, identity: &Identity, client_id: &str) -> Result<Granted<Self>> {
        let address = world.broker.as_ref().context("there is no broker; run `cargo xtask e2e`")?;
        let tcp = TcpStream::connect(address).with_context(|| format!("no broker at {address}"))?;
        tcp.set_read_timeout(Some(ANSWERED_WITHIN))?;
        let tls = ClientConnection::new(Arc::new(tls(world, identity)?), ServerName::try_from("localhost")?)?;
        let stream = StreamOwned::new(tls, tcp);
        let mut device = Self { stream, read: BytesMut::new(), received: VecDeque::new(), packet: 0 };
        let connect = Connect {
            keep_alive: KEEP_ALIVE_SECONDS,
            client_id: client_id.to_owned(),
            clean_start: true,
            properties: None,
        };
        device.send(&Packet::Connect(connect, None, None))?;
        match device.next()? {
            Some(Packet::ConnAck(answer)) if answer.code == ConnectReturnCode::Success => Ok(Ok(device)),
            Some(Packet::ConnAck(answer)) if answer.code == ConnectReturnCode::NotAuthorized => {
                Ok(Err(Refusal::NotAuthorized))
            }
            None => Ok(Err(Refusal::Closed)),
            other => bail!("CONNECT was answered by {other:?}"),
        }
    }

    /// Publishes with `QoS` 1 and waits for the answer.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub fn publish(&mut self, topic: &str, payload: &str) -> Result<Granted<()>> {
        self.publish_as(topic, payload, false)
    }

    /// As [`Self::publish`], for the broker to keep.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub fn publish_retained(&mut self, topic: &str, payload: &str) -> Result<Granted<()>> {
        self.publish_as(topic, payload, true)
    }

    fn publish_as(&mut self, topic: &str, payload: &str, retain: bool) -> Result<Granted<()>> {
        let mut publish = Publish::new(topic, QoS::AtLeastOnce, payload.to_owned(), None);
        (publish.pkid, publish.retain) = (self.numbered(), retain);
        self.send(&Packet::Publish(publish))?;
        match self.answer()? {
            Some(Packet::PubAck(answer)) => match answer.reason {
                PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Ok(Ok(())),
                PubAckReason::NotAuthorized => Ok(Err(Refusal::NotAuthorized)),
                other => bail!("PUBLISH was answered by {other:?}"),
            },
            None => Ok(Err(Refusal::Closed)),
            other => bail!("PUBLISH was answered by {other:?}"),
        }
    }

    /// Subscribes to a filter and waits for the answer.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub fn subscribe(&mut self, filter: &str) -> Result<Granted<()>> {
        let mut subscribe = Subscribe::new(Filter::new(filter, QoS::AtLeastOnce), None);
        subscribe.pkid = self.numbered();
        self.send(&Packet::Subscribe(subscribe))?;
        match self.answer()? {
            Some(Packet::SubAck(answer)) => match answer.return_codes.as_slice() {
                [SubscribeReasonCode::Success(_)] => Ok(Ok(())),
                [SubscribeReasonCode::NotAuthorized] => Ok(Err(Refusal::NotAuthorized)),
                other => bail!("SUBSCRIBE was answered by {other:?}"),
            },
            None => Ok(Err(Refusal::Closed)),
            other => bail!("SUBSCRIBE was answered by {other:?}"),
        }
    }

    /// The next message: its topic and its payload.
    ///
    /// # Errors
    /// None comes in time, or the connection is closed.
    pub fn message(&mut self) -> Result<(String, String)> {
        while self.received.is_empty() {
            let Some(packet) = self.next()? else { bail!("the broker closed the connection") };
            ensure!(self.is_kept(&packet), "{packet:?} came instead of a message");
        }
        let publish = self.received.pop_front().context("a message was received")?;
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        Ok((text(&publish.topic), text(&publish.payload)))
    }

    fn numbered(&mut self) -> u16 {
        self.packet += 1;
        self.packet
    }

    fn is_kept(&mut self, packet: &Packet) -> bool {
        if let Packet::Publish(publish) = packet {
            self.received.push_back(publish.clone());
        }
        matches!(packet, Packet::Publish(_))
    }

    /// The next packet that is no message; messages that come before it are kept.
    fn answer(&mut self) -> Result<Option<Packet>> {
        loop {
            match self.next()? {
                Some(packet) if self.is_kept(&packet) => {}
                other => return Ok(other),
            }
        }
    }

    fn send(&mut self, packet: &Packet) -> Result<()> {
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes, Some(PACKET_BYTES_MAX))?;
        // A connection that the broker has closed is seen by the next read.
        match self.stream.write_all(&bytes).and_then(|()| self.stream.flush()) {
            Err(error) if is_closed(&error) => Ok(()),
            other => other.context("the packet cannot be sent"),
        }
    }

    /// `None`: the broker has closed the connection.
    fn next(&mut self) -> Result<Option<Packet>> {
        loop {
            match Packet::read(&mut self.read, Some(PACKET_BYTES_MAX)) {
                Ok(packet) => {
                    if let Packet::Publish(publish) = &packet
                        && publish.qos == QoS::AtLeastOnce
                    {
                        let id = publish.pkid;
                        self.send(&Packet::PubAck(rumqttc::v5::mqttbytes::v5::PubAck::new(id, None)))?;
                    }
                    return Ok(Some(packet));
                }
                Err(PacketError::InsufficientBytes(_)) => {}
                Err(error) => return Err(error).context("the broker sends no MQTT"),
            }
            let mut buffer = [0; 4_096];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(count) => self.read.extend_from_slice(&buffer[..count]),
                Err(error) if is_closed(&error) => return Ok(None),
                Err(error) => return Err(error).context("the broker does not answer"),
            }
        }
    }
}

fn is_closed(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe
    )
}

/// The device's certificate, and the emulator's authority, which it trusts alone.
fn tls(world: &World, identity: &Identity) -> Result<ClientConfig> {
    let authority = broker_authority(world)?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).context("the authority's certificate")?)?;
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).context("the certificate")?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).context("the private key")?;
    Ok(ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate], key)?)
}

/// The certificate of the authority that signed the broker's, in PEM: Amazon Root CA 1's place.
///
/// # Errors
/// It cannot be had.
pub fn broker_authority(world: &World) -> Result<String> {
    let mut answer = ureq::get(format!("{}/_ministack/iot/ca.pem", world.endpoint)).call().context("no authority")?;
    answer.body_mut().read_to_string().context("the authority's certificate is text")
}
