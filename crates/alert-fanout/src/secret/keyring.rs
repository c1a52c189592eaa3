//! Secrets that were looked up, kept for five minutes.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Secret, SecretError, SecretRef, Secrets};
use crate::channel::{Receipt, SendError};

/// How long a secret is used before it is looked up again.
pub const CACHED_FOR: Duration = Duration::from_mins(5);

/// A secret that was refused is not looked up again sooner: a key that is wrong must not cost a call for every alert.
const RENEWED_AT_MOST_EVERY: Duration = Duration::from_secs(10);

/// Secrets kept at once; with more, the oldest leaves.
const KEPT_MAX: usize = 1_024;

/// A cache before [`Secrets`]. Its lock is never held while anything is waited for.
pub struct Keyring<S> {
    secrets: S,
    kept: Mutex<HashMap<SecretRef, Kept>>,
}

#[derive(Clone)]
struct Kept {
    secret: Secret,
    since: Instant,
}

impl<S: Secrets> Keyring<S> {
    /// An empty cache.
    pub fn new(secrets: S) -> Self {
        Self { secrets, kept: Mutex::default() }
    }

    /// The secret, from the cache or looked up. One that has grown old is still used while nobody answers who could give
    /// a newer one: alerts must not wait for that.
    ///
    /// # Errors
    /// Those of the look-up.
    pub async fn secret(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        let kept = self.kept(reference);
        match kept {
            Some(kept) if kept.since.elapsed() < CACHED_FOR => Ok(kept.secret),
            _ => match self.look_up(reference).await {
                Err(error) if error.is_transient() => kept.map(|kept| kept.secret).ok_or(error),
                current => current,
            },
        }
    }

    /// What stands in the place of a secret that was refused, if it is another.
    async fn successor(&self, reference: &SecretRef, refused: &Secret) -> Result<Option<Secret>, SecretError> {
        match self.kept(reference) {
            // Somebody else has renewed it meanwhile.
            Some(kept) if !kept.secret.is_same(refused) => return Ok(Some(kept.secret)),
            Some(kept) if kept.since.elapsed() < RENEWED_AT_MOST_EVERY => return Ok(None),
            _ => {}
        }
        let current = self.look_up(reference).await?;
        Ok((!current.is_same(refused)).then_some(current))
    }

    /// Sends with the secret; if it is refused and there is another by now, sends with that, once.
    pub(crate) async fn sending<F, Sent>(
        &self,
        channel: &str,
        reference: &SecretRef,
        send: F,
    ) -> Result<Receipt, SendError>
    where
        F: Fn(Secret) -> Sent + Send,
        Sent: Future<Output = Result<Receipt, SendError>> + Send,
    {
        let in_channel = |error: SecretError| SendError::secret(channel, &error);
        let secret = self.secret(reference).await.map_err(in_channel)?;
        match send(secret.clone()).await {
            Err(refusal) if refusal.is_auth_failure() => {
                match self.successor(reference, &secret).await.map_err(in_channel)? {
                    Some(current) => send(current).await,
                    None => Err(refusal),
                }
            }
            outcome => outcome,
        }
    }

    async fn look_up(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        let secret = self.secrets.secret(reference).await?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX && !kept.contains_key(reference) {
            let oldest = kept.iter().min_by_key(|(_, kept)| kept.since).map(|(oldest, _)| oldest.clone());
            oldest.and_then(|oldest| kept.remove(&oldest));
        }
        kept.insert(reference.clone(), Kept { secret: secret.clone(), since: Instant::now() });
        Ok(secret)
    }

    fn kept(&self, reference: &SecretRef) -> Option<Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(reference).cloned()
    }
}

impl<S> fmt::Debug for Keyring<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use super::*;

    /// A store whose secret is `key-{rotation}`, and that counts the look-ups.
    #[derive(Default)]
    struct Rotating {
        rotation: AtomicU32,
        looked_up: AtomicU32,
        is_down: AtomicBool,
    }

    impl Secrets for &Rotating {
        async fn secret(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
            self.looked_up.fetch_add(1, Ordering::Relaxed);
            if self.is_down.load(Ordering::Relaxed) {
                return Err(SecretError::Unavailable { reference: reference.clone(), why: "down".to_owned() });
            }
            Secret::new(reference, format!("key-{}", self.rotation.load(Ordering::Relaxed)))
        }
    }

    fn reference() -> SecretRef {
        SecretRef::new("slack").unwrap()
    }

    /// Sends with a far side that accepts `accepted` alone.
    async fn send(keyring: &Keyring<&Rotating>, accepted: &str) -> Result<Receipt, SendError> {
        keyring
            .sending("ops", &reference(), |secret| async move {
                if secret.reveal() == accepted {
                    Ok(Receipt::default())
                } else {
                    Err(SendError::auth("ops", "no", "new key"))
                }
            })
            .await
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_is_looked_up_once_in_five_minutes() {
        let store = Rotating::default();
        let keyring = Keyring::new(&store);
        for _ in 0..3 {
            keyring.secret(&reference()).await.unwrap();
        }
        assert_eq!(store.looked_up.load(Ordering::Relaxed), 1);
        tokio::time::advance(CACHED_FOR).await;
        keyring.secret(&reference()).await.unwrap();
        assert_eq!(store.looked_up.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_secret_is_used_while_nobody_gives_a_newer_one() {
        let store = Rotating::default();
        let keyring = Keyring::new(&store);
        store.is_down.store(true, Ordering::Relaxed);
        assert!(keyring.secret(&reference()).await.unwrap_err().is_transient());
        store.is_down.store(false, Ordering::Relaxed);
        keyring.secret(&reference()).await.unwrap();
        store.is_down.store(true, Ordering::Relaxed);
        tokio::time::advance(CACHED_FOR * 2).await;
        assert_eq!(keyring.secret(&reference()).await.unwrap().reveal(), "key-0");
    }

    #[tokio::test(start_paused = true)]
    async fn a_rotated_secret_heals_by_itself() {
        let store = Rotating::default();
        let keyring = Keyring::new(&store);
        send(&keyring, "key-0").await.unwrap();
        store.rotation.store(1, Ordering::Relaxed);
        tokio::time::advance(RENEWED_AT_MOST_EVERY).await;
        send(&keyring, "key-1").await.unwrap();
        send(&keyring, "key-1").await.unwrap();
        assert_eq!(store.looked_up.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_that_stays_wrong_costs_a_call_in_ten_seconds() {
        let store = Rotating::default();
        let keyring = Keyring::new(&store);
        for _ in 0..50 {
            assert!(send(&keyring, "another").await.unwrap_err().is_auth_failure());
        }
        assert_eq!(store.looked_up.load(Ordering::Relaxed), 1);
        tokio::time::advance(RENEWED_AT_MOST_EVERY).await;
        for _ in 0..50 {
            assert!(send(&keyring, "another").await.is_err());
        }
        assert_eq!(store.looked_up.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_kept_secrets_is_bounded() {
        let store = Rotating::default();
        let keyring = Keyring::new(&store);
        for n in 0..KEPT_MAX + 10 {
            keyring.secret(&SecretRef::new(&format!("s{n}")).unwrap()).await.unwrap();
        }
        assert_eq!(keyring.kept.lock().unwrap().len(), KEPT_MAX);
    }
}
