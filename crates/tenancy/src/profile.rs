//! The tenant's first `profile.toml`: the one that was given, or one that tells the tenant's people of everything.

use telemetry::profile::parse_profile;

/// A profile that says only who is told: all that is found, on the tenant's topic.
#[must_use]
pub fn default_profile(tenant: &str, topic: &str) -> String {
    format!(
        "# What tenant `{tenant}` says of its machines: docs/operations/alerts.md and the README have the settings.\n\
         # Everything may be left out; the function looks for changes within minutes.\n\
         \n\
         [channels.people]\n\
         type = \"sns\"\n\
         topic = \"{topic}\"\n\
         \n\
         [[alerts.routes]]\n\
         channels = [\"people\"]\n"
    )
}

/// What is wrong with a profile, every mistake with its line; nothing where it is good.
#[must_use]
pub fn objections(text: &str) -> Option<String> {
    parse_profile(text).err().map(|errors| errors.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_a_good_profile_with_the_tenants_topic() {
        let text = default_profile("acme", "arn:aws:sns:eu-west-1:123456789012:millrace-dev-tenant-acme");
        assert_eq!(objections(&text), None);
        let wrong = objections(&text.replace("type =", "typ =")).unwrap();
        assert!(wrong.contains("typ"), "{wrong}");
    }
}
