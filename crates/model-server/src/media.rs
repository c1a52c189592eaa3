//! Forms of requests and answers, as HTTP names them.

/// A form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// `text/csv`: rows without a head; a score a line, `nan` where there is none.
    Csv,
    /// `application/jsonlines`: an object a line; `{"score":…,"line":…}`, the alarm line of the row's type of asset, or `{"error":"…"}` a line.
    JsonLines,
    /// `application/json`: `{"instances":[…]}`; `{"scores":[{"score":…},{"error":"…"}]}`, as SageMaker's own forest answers
    /// (SageMaker Developer Guide, "RCF Response Formats").
    Json,
}

impl Media {
    /// The name to answer with.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Csv => "text/csv",
            Self::JsonLines => "application/jsonlines",
            Self::Json => "application/json",
        }
    }

    /// By its name; parameters are passed over.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        let name = name.split(';').next().unwrap_or_default().trim();
        let is = |known: &[&str]| known.iter().any(|known| name.eq_ignore_ascii_case(known));
        if is(&["text/csv"]) {
            Some(Self::Csv)
        } else if is(&["application/jsonlines", "application/x-jsonlines", "application/x-ndjson"]) {
            Some(Self::JsonLines)
        } else if is(&["application/json"]) {
            Some(Self::Json)
        } else {
            None
        }
    }

    /// What to answer with where `Accept` says this and the request has form `self`: the form with the highest weight, of
    /// equal ones the first; of a range, `self` if it fits (RFC 9110, section 12.5.1). `None`: nothing fits.
    #[must_use]
    pub fn accepted(self, accept: Option<&str>) -> Option<Self> {
        let Some(accept) = accept.filter(|accept| !accept.trim().is_empty()) else { return Some(self) };
        let mut best: Option<(f32, Self)> = None;
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
            let media = match name {
                "text/*" => Some(Self::Csv),
                "application/*" if self == Self::Csv => Some(Self::JsonLines),
                "*/*" | "application/*" => Some(self),
                name => Self::of(name),
            };
            if let Some(media) = media.filter(|_| weight > best.map_or(0.0, |(weight, _)| weight)) {
                best = Some((weight, media));
            }
        }
        best.map(|(_, media)| media)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_known_by_name_whatever_their_parameters() {
        assert_eq!(Media::of("Text/CSV; charset=utf-8; label_size=0"), Some(Media::Csv));
        assert_eq!(Media::of("application/x-ndjson"), Some(Media::JsonLines));
        assert_eq!(Media::of("application/json"), Some(Media::Json));
        assert_eq!(Media::of("application/x-recordio-protobuf"), None);
    }

    #[test]
    fn the_answer_has_the_form_that_is_liked_best() {
        for (accept, expected) in [
            (None, Some(Media::Csv)),
            (Some(""), Some(Media::Csv)),
            (Some("*/*"), Some(Media::Csv)),
            (Some("application/json"), Some(Media::Json)),
            (Some("application/*"), Some(Media::JsonLines)),
            (Some("text/html, application/json;q=0.5, application/jsonlines;q=0.9"), Some(Media::JsonLines)),
            (Some("text/csv;q=0, application/json;q=0.1"), Some(Media::Json)),
            (Some("image/png"), None),
            (Some("text/csv;q=0"), None),
        ] {
            assert_eq!(Media::Csv.accepted(accept), expected, "{accept:?}");
        }
        assert_eq!(Media::Json.accepted(Some("application/*")), Some(Media::Json));
    }
}
