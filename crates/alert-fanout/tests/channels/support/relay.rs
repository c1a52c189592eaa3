//! A relay of mail on 127.0.0.1 that keeps every mail, with STARTTLS, TLS, logins, and refusals by rule (RFC 5321).

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A mail as it was handed over.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) data: String,
    pub(crate) encrypted: bool,
    pub(crate) logged_in: bool,
}

impl Kept {
    /// The lines before the first empty one.
    pub(crate) fn headers(&self) -> Vec<&str> {
        self.data.lines().take_while(|line| !line.is_empty()).collect()
    }

    /// The header of this name.
    pub(crate) fn header(&self, name: &str) -> &str {
        let prefix = format!("{name}: ");
        self.headers().into_iter().find_map(|line| line.strip_prefix(prefix.as_str())).unwrap_or_default()
    }
}

/// How the relay behaves.
#[derive(Clone, Default)]
pub(crate) struct Rules {
    /// For STARTTLS, or TLS from the start.
    pub(crate) acceptor: Option<TlsAcceptor>,
    pub(crate) tls_from_the_start: bool,
    /// The `AUTH PLAIN` argument that is accepted; a login is demanded if there is one.
    pub(crate) login: Option<Arc<Mutex<String>>>,
    /// Answers to commands that begin so, instead of the usual ones.
    pub(crate) refusals: Vec<(&'static str, &'static str)>,
    /// Says more than asked with the answer to STARTTLS.
    pub(crate) injects: bool,
}

/// A running relay; it ends with the test's runtime.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    kept: Arc<Mutex<Vec<Kept>>>,
}

impl Relay {
    pub(crate) async fn start(rules: Rules) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let relay = Self { address: listener.local_addr().unwrap(), kept: Arc::default() };
        let kept = Arc::clone(&relay.kept);
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                tokio::spawn(accept(stream, rules.clone(), Arc::clone(&kept)));
            }
        });
        relay
    }

    pub(crate) fn kept(&self) -> Vec<Kept> {
        self.kept.lock().unwrap().clone()
    }
}

async fn accept(stream: TcpStream, rules: Rules, kept: Arc<Mutex<Vec<Kept>>>) -> Option<()> {
    let acceptor = rules.acceptor.clone();
    if rules.tls_from_the_start {
        let stream = acceptor?.accept(stream).await.ok()?;
        Session { line: BufReader::new(stream), encrypted: true, rules, kept }.run(true).await;
        return Some(());
    }
    let mut session = Session { line: BufReader::new(stream), encrypted: false, rules, kept };
    if session.run(true).await == End::StartTls {
        let Session { line, rules, kept, .. } = session;
        let stream = acceptor?.accept(line.into_inner()).await.ok()?;
        Session { line: BufReader::new(stream), encrypted: true, rules, kept }.run(false).await;
    }
    Some(())
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    Quit,
    StartTls,
    HungUp,
}

struct Session<S> {
    line: BufReader<S>,
    encrypted: bool,
    rules: Rules,
    kept: Arc<Mutex<Vec<Kept>>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    async fn run(&mut self, greets: bool) -> End {
        self.talk(greets).await.unwrap_or(End::HungUp)
    }

    async fn talk(&mut self, greets: bool) -> Option<End> {
        if greets {
            self.say("220 relay.example ESMTP").await?;
        }
        let (mut from, mut to, mut logged_in) = (String::new(), Vec::new(), false);
        loop {
            let command = self.hear().await?;
            if let Some((_, refusal)) = self.rules.refusals.iter().find(|(begin, _)| command.starts_with(begin)) {
                self.say(refusal).await?;
                continue;
            }
            match command.split([' ', ':']).next().unwrap_or_default() {
                "EHLO" => self.offer().await?,
                "STARTTLS" => {
                    let injected = if self.rules.injects { "\r\n250-injected\r\n250 AUTH PLAIN" } else { "" };
                    self.say(&format!("220 go ahead{injected}")).await?;
                    return Some(End::StartTls);
                }
                "AUTH" => {
                    let accepted =
                        self.rules.login.as_ref().map(|login| format!("AUTH PLAIN {}", login.lock().unwrap()));
                    logged_in = accepted.as_ref() == Some(&command);
                    // A relay that is careless enough to repeat what it heard.
                    let refusal = format!("535 5.7.8 not admitted: {command}");
                    self.say(if logged_in { "235 2.7.0 welcome" } else { &refusal }).await?;
                }
                _ if self.rules.login.is_some() && !logged_in && command != "QUIT" => {
                    self.say("530 5.7.0 log in first").await?;
                }
                "MAIL" => {
                    from = address(&command);
                    self.say("250 2.1.0 ok").await?;
                }
                "RCPT" => {
                    to.push(address(&command));
                    self.say("250 2.1.5 ok").await?;
                }
                "DATA" => {
                    self.say("354 go on").await?;
                    let data = self.data().await?;
                    let mail = Kept {
                        from: from.clone(),
                        to: std::mem::take(&mut to),
                        data,
                        encrypted: self.encrypted,
                        logged_in,
                    };
                    self.kept.lock().unwrap().push(mail);
                    self.say("250 2.0.0 kept").await?;
                }
                "QUIT" => {
                    self.say("221 2.0.0 bye").await?;
                    return Some(End::Quit);
                }
                _ => self.say("502 5.5.2 what?").await?,
            }
        }
    }

    async fn offer(&mut self) -> Option<()> {
        let mut offers = vec!["250-relay.example", "250-8BITMIME"];
        if self.rules.acceptor.is_some() && !self.encrypted {
            offers.push("250-STARTTLS");
        }
        if self.rules.login.is_some() {
            offers.push("250-AUTH PLAIN");
        }
        offers.push("250 SIZE 1000000");
        self.say(&offers.join("\r\n")).await
    }

    async fn data(&mut self) -> Option<String> {
        let mut data = String::new();
        loop {
            let line = self.hear().await?;
            if line == "." {
                return Some(data);
            }
            data.push_str(line.strip_prefix('.').unwrap_or(&line));
            data.push('\n');
        }
    }

    async fn hear(&mut self) -> Option<String> {
        let mut line = String::new();
        let count = self.line.read_line(&mut line).await.ok()?;
        (count > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
    }

    async fn say(&mut self, text: &str) -> Option<()> {
        self.line.write_all(format!("{text}\r\n").as_bytes()).await.ok()?;
        self.line.flush().await.ok()
    }
}

/// What stands between `<` and `>`.
fn address(command: &str) -> String {
    command.split(['<', '>']).nth(1).unwrap_or_default().to_owned()
}
