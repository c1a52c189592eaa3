//! Text of unknown origin, made fit to be shown: one line, bounded, without characters that steer a terminal, a mail
//! header or the direction of reading. What a medium's own markup needs is escaped by its channel.

/// `text` in one line of at most `chars_max` characters; what is cut off is shown as `…`. Control and format characters
/// become a space, runs of white space one space.
pub(crate) fn clean(text: &str, chars_max: usize) -> String {
    let mut words = String::with_capacity(text.len().min(chars_max * 4));
    let mut held_space = false;
    let mut count = 0;
    for c in text.chars() {
        if c.is_whitespace() || is_steering(c) {
            held_space = !words.is_empty();
            continue;
        }
        if held_space {
            words.push(' ');
            count += 1;
            held_space = false;
        }
        words.push(c);
        count += 1;
        if count > chars_max {
            return cut(&words, chars_max);
        }
    }
    words
}

/// `text` in printable ASCII, one line, at most `chars_max` characters: for subjects and SMS. Letters that technicians
/// meet are written out, any other becomes `?`.
pub(crate) fn ascii(text: &str, chars_max: usize) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in clean(text, usize::MAX / 8).chars() {
        match c {
            ' '..='~' => plain.push(c),
            'ä' => plain.push_str("ae"),
            'ö' => plain.push_str("oe"),
            'ü' => plain.push_str("ue"),
            'Ä' => plain.push_str("Ae"),
            'Ö' => plain.push_str("Oe"),
            'Ü' => plain.push_str("Ue"),
            'ß' => plain.push_str("ss"),
            'à' | 'á' | 'â' => plain.push('a'),
            'è' | 'é' | 'ê' => plain.push('e'),
            'µ' | 'μ' => plain.push('u'),
            '°' => plain.push_str("deg "),
            '–' | '—' | '−' => plain.push('-'),
            '‘' | '’' => plain.push('\''),
            '“' | '”' => plain.push('"'),
            '…' => plain.push_str("..."),
            _ => plain.push('?'),
        }
    }
    if plain.len() > chars_max {
        plain.truncate(chars_max.saturating_sub(3));
        plain.push_str("...");
        plain.truncate(chars_max);
    }
    plain
}

fn cut(text: &str, chars_max: usize) -> String {
    let mut kept: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    kept.push('…');
    kept
}

/// Control characters, and the invisible ones that reorder or hide what stands beside them (Unicode 16, general category
/// Cf: bidirectional controls, zero-width characters, tags).
fn is_steering(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn line_breaks_and_controls_become_one_space() {
        assert_eq!(clean("a\r\nBcc: x@y\u{1b}[31m\0b", 100), "a Bcc: x@y [31m b");
        assert_eq!(clean("  a \t b  ", 100), "a b");
        assert_eq!(clean("user\u{202e}gnp.exe", 100), "user gnp.exe");
    }

    #[test]
    fn what_is_too_long_is_cut_visibly() {
        assert_eq!(clean("abcdef", 6), "abcdef");
        assert_eq!(clean("abcdefg", 6), "abcde…");
        assert_eq!(ascii("abcdefg", 6), "abc...");
    }

    #[test]
    fn units_and_umlauts_are_written_out() {
        assert_eq!(ascii("Öldruck 3 µm, 80 °C – größer", 100), "Oeldruck 3 um, 80 deg C - groesser");
        assert_eq!(ascii("温度", 100), "??");
    }

    proptest! {
        #[test]
        fn clean_text_is_bounded_and_stays_as_it_is(text in any::<String>(), max in 4_usize..60) {
            let once = clean(&text, max);
            prop_assert!(once.chars().count() <= max);
            prop_assert!(!once.chars().any(is_steering));
            prop_assert_eq!(clean(&once, max), once);
        }

        #[test]
        fn ascii_text_is_printable_and_bounded(text in any::<String>(), max in 4_usize..60) {
            let plain = ascii(&text, max);
            prop_assert!(plain.len() <= max);
            prop_assert!(plain.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        }
    }
}
