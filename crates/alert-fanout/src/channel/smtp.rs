//! Mail, as text, over SMTP with STARTTLS or TLS from the start; without encryption only to this machine.
//!
//! All mails of an incident refer to one Message-ID, so that readers show them as one conversation. A mail that is sent
//! again has the Message-ID it had, by which many mailboxes drop it; SMTP itself does not. What it does not do: HTML,
//! attachments, signing with DKIM (the relay's task).

mod line;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message as Mail};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use url::Host;

use super::{Channel, Receipt, SAID_CHARS_MAX, SendError, in_time};
use crate::message::{Message, clean};
use crate::network::{Outbound, Reach};
use crate::secret::{Keyring, Secret, SecretRef, Secrets};

/// Recipients of one channel.
pub const RECIPIENTS_MAX: usize = 50;

/// How long is waited for the farewell, when the mail is delivered.
const QUIT_TIMEOUT: Duration = Duration::from_millis(500);

/// How the line to the relay is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// From the start: usually port 465.
    Tls,
    /// After `STARTTLS`: usually port 587. A relay that does not offer it gets nothing.
    StartTls,
    /// Not at all; refused unless the relay is this machine.
    None,
}

/// Where mail goes, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmtpSettings {
    /// The relay.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the line is encrypted.
    pub encryption: Encryption,
    /// Which addresses the relay may have; one on this machine or in its network needs [`Reach::Anywhere`].
    pub reach: Reach,
    /// The sender, `Millrace <alerts@example.com>`.
    pub from: String,
    /// The recipients, 1 to [`RECIPIENTS_MAX`]; each sees the others.
    pub to: Vec<String>,
    /// The user and the secret that holds the password, if the relay wants to know who sends.
    pub login: Option<(String, SecretRef)>,
}

/// Settings that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SmtpSettingsError {
    /// Not a host.
    #[error("`{0}` is not the name or address of a host")]
    Host(String),
    /// Not an address of mail.
    #[error("`{0}` is not an address such as `Name <name@example.com>`")]
    Address(String),
    /// Without encryption, and not to this machine.
    #[error("without encryption only this machine is reached, which this channel may not; set `starttls` or `tls`")]
    Unencrypted,
    /// Nobody, or a mailing list's work.
    #[error("{0} recipients; 1 to {RECIPIENTS_MAX} are possible, more are the work of a mailing list")]
    Recipients(usize),
}

/// Mails to people.
pub struct Smtp<S> {
    name: String,
    host: Host<String>,
    port: u16,
    encryption: Encryption,
    reach: Reach,
    from: Mailbox,
    to: Vec<Mailbox>,
    login: Option<(String, SecretRef)>,
    keyring: Arc<Keyring<S>>,
    outbound: Outbound,
}

impl<S: Secrets> Smtp<S> {
    /// A channel of these settings.
    ///
    /// # Errors
    /// The first of the settings that cannot be used.
    pub fn new(
        name: &str,
        settings: SmtpSettings,
        keyring: Arc<Keyring<S>>,
        outbound: Outbound,
    ) -> Result<Self, SmtpSettingsError> {
        let host = Host::parse(&settings.host).map_err(|_| SmtpSettingsError::Host(clean(&settings.host, 100)))?;
        let mailbox = |text: &String| text.parse::<Mailbox>().map_err(|_| SmtpSettingsError::Address(clean(text, 100)));
        if settings.to.is_empty() || settings.to.len() > RECIPIENTS_MAX {
            return Err(SmtpSettingsError::Recipients(settings.to.len()));
        }
        if settings.encryption == Encryption::None && settings.reach == Reach::Public {
            return Err(SmtpSettingsError::Unencrypted);
        }
        Ok(Self {
            name: name.to_owned(),
            host,
            port: settings.port,
            encryption: settings.encryption,
            reach: settings.reach,
            from: mailbox(&settings.from)?,
            to: settings.to.iter().map(mailbox).collect::<Result<_, _>>()?,
            login: settings.login,
            keyring,
            outbound,
        })
    }

    async fn deliver(&self, login: Option<(&str, Secret)>, message: &Message) -> Result<Receipt, SendError> {
        let mail = self.mail(message)?;
        let mut relay = self.greet().await?;
        if let Some((user, password)) = login {
            let credentials = Credentials::new(user.to_owned(), password.reveal().to_owned());
            let admitted = relay.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await;
            admitted.map_err(|error| self.login_failure(&error))?;
        }
        let receipt = self.hand_over(&mut relay, message, &mail).await?;
        // The mail is delivered; whether the relay says goodbye changes nothing.
        let _ = tokio::time::timeout(QUIT_TIMEOUT, relay.quit()).await;
        Ok(receipt)
    }

    /// Sender, recipients, mail. A recipient who is refused costs only himself, unless all are.
    async fn hand_over(
        &self,
        relay: &mut AsyncSmtpConnection,
        message: &Message,
        mail: &[u8],
    ) -> Result<Receipt, SendError> {
        let failed = |error| self.failure(&error);
        relay.command(MailFrom::new(Some(self.from.email.clone()), Vec::new())).await.map_err(failed)?;
        let (mut accepted, mut refusals) = (0_usize, Vec::new());
        for recipient in &self.to {
            match relay.command(Rcpt::new(recipient.email.clone(), Vec::new())).await {
                Ok(_) => accepted += 1,
                Err(error) if error.is_permanent() || error.is_transient() => refusals.push(error),
                Err(error) => return Err(failed(error)),
            }
        }
        if accepted == 0 {
            // One that is refused for now may be taken later; then all are tried again.
            let first = refusals.iter().find(|error| error.is_transient()).or(refusals.first());
            return Err(first.map_or_else(
                || SendError::refused(&self.name, "no recipient", "name one"),
                |error| self.failure(error),
            ));
        }
        relay.command(Data).await.map_err(failed)?;
        relay.message(mail).await.map_err(failed)?;
        let note = refusals.first().map(|first| {
            format!(
                "{} of {} recipients were refused, the first with: {}",
                refusals.len(),
                self.to.len(),
                clean(&first.to_string(), SAID_CHARS_MAX)
            )
        });
        Ok(Receipt { note, ..Receipt::with_id(&self.message_id(&message.idempotency_key(&self.name))) })
    }

    /// The relay, encrypted as it should be, after both have said who they are.
    async fn greet(&self) -> Result<AsyncSmtpConnection, SendError> {
        let reach = if self.encryption == Encryption::None { Reach::ThisMachine } else { self.reach };
        let stream = self.outbound.connect(&self.host, self.port, reach).await.map_err(|e| e.in_channel(&self.name))?;
        let hello = self.from.email.domain();
        let line = match self.encryption {
            Encryption::None => line::Line::new(Box::new(stream), Vec::new()),
            Encryption::Tls => {
                let wire = self.outbound.encrypt(stream, &self.host).await.map_err(|e| e.in_channel(&self.name))?;
                line::Line::new(wire, Vec::new())
            }
            Encryption::StartTls => {
                let (stream, greeting) =
                    line::start_tls(stream, hello).await.map_err(|error| self.line_failure(&error))?;
                let wire = self.outbound.encrypt(stream, &self.host).await.map_err(|e| e.in_channel(&self.name))?;
                line::Line::new(wire, greeting)
            }
        };
        let hello = ClientId::Domain(hello.to_owned());
        AsyncSmtpConnection::connect_with_transport(Box::new(line), &hello).await.map_err(|error| self.failure(&error))
    }

    fn mail(&self, message: &Message) -> Result<Vec<u8>, SendError> {
        let thread = self.message_id(&message.thread_key(&self.name));
        let at = UNIX_EPOCH + Duration::from_millis(message.at.millis().max(0).unsigned_abs());
        let mut builder = Mail::builder()
            .from(self.from.clone())
            .subject(message.subject())
            .date(at)
            .message_id(Some(self.message_id(&message.idempotency_key(&self.name))))
            .in_reply_to(thread.clone())
            .references(thread)
            .header(ContentType::TEXT_PLAIN);
        for recipient in &self.to {
            builder = builder.to(recipient.clone());
        }
        let mut mail = builder.body(message.body()).map_err(|error| {
            SendError::refused(&self.name, format!("the mail cannot be written: {error}"), "report it")
        })?;
        // RFC 3834: no answering machine shall answer.
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        mail.headers_mut().insert_raw(HeaderValue::new(automatic, "auto-generated".to_owned()));
        Ok(mail.formatted())
    }

    fn message_id(&self, key: &str) -> String {
        format!("<{key}@{}>", self.from.email.domain())
    }

    /// What the relay says of a mail tells an operator most; it has seen no password in these steps.
    fn failure(&self, error: &SmtpError) -> SendError {
        let what = format!("{}: {}", self.host, clean(&error.to_string(), SAID_CHARS_MAX));
        let code = error.status().map(u16::from);
        match code {
            Some(530 | 534 | 535 | 538) => {
                SendError::auth(&self.name, what, "see the user's name, and store the password in the secret")
            }
            _ if error.is_permanent() => {
                SendError::refused(&self.name, what, "see sender and recipients, and the relay's log")
            }
            _ if error.is_client() => SendError::misconfigured(&self.name, what, "see what the relay offers"),
            _ => SendError::retry(&self.name, None, what, "nothing, unless it stays"),
        }
    }

    /// As [`failure`](Self::failure), without the relay's words: it has just been told a password.
    fn login_failure(&self, error: &SmtpError) -> SendError {
        let code = error.status().map(u16::from);
        match code {
            Some(code) if error.is_permanent() => {
                let what = format!("{} does not admit the user (SMTP status {code})", self.host);
                SendError::auth(&self.name, what, "see the user's name, and store the password in the secret")
            }
            None if error.is_client() => {
                let what = format!("{} offers no way to log in that is known here (PLAIN, LOGIN)", self.host);
                SendError::misconfigured(&self.name, what, "leave out the user, or use another relay")
            }
            _ => SendError::retry(
                &self.name,
                None,
                format!("{} broke off while logging in", self.host),
                "nothing, unless it stays",
            ),
        }
    }

    fn line_failure(&self, error: &line::LineError) -> SendError {
        let what = format!("{}: {error}", self.host);
        match error {
            line::LineError::NotOffered => {
                SendError::misconfigured(&self.name, what, "use `tls`, a port that offers STARTTLS, or another relay")
            }
            line::LineError::OutOfTurn => {
                SendError::misconfigured(&self.name, what, "somebody may stand between: use `tls`, or find out who")
            }
            line::LineError::Broken(_) | line::LineError::Unwilling => {
                SendError::retry(&self.name, None, what, "nothing, unless it stays")
            }
        }
    }
}

impl<S: Secrets> Channel for Smtp<S> {
    fn name(&self) -> &str {
        &self.name
    }

    fn deduplicates(&self) -> bool {
        false
    }

    async fn send(&self, message: &Message) -> Result<Receipt, SendError> {
        let delivery = async {
            match &self.login {
                Some((user, password)) => {
                    let deliver = |key| self.deliver(Some((user.as_str(), key)), message);
                    self.keyring.sending(&self.name, password, deliver).await
                }
                None => self.deliver(None, message).await,
            }
        };
        in_time(&self.name, delivery).await
    }
}

impl<S> fmt::Debug for Smtp<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smtp").field("name", &self.name).field("host", &self.host).finish_non_exhaustive()
    }
}
