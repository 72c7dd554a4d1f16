//! What a plain scalar means: the YAML 1.2 core schema, minus everything that readers disagree about.

use super::Content;
use serde_json::Number;

/// Booleans of YAML 1.1, plain text in YAML 1.2.
const OLD_BOOLEANS: [&str; 6] = ["y", "yes", "on", "n", "no", "off"];

/// The meaning of a plain scalar, or what to do about one without a single meaning.
pub(super) fn plain(text: &str) -> Result<Content, String> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Content::Null),
        "true" | "True" | "TRUE" => return Ok(Content::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Content::Bool(false)),
        "<<" | "=" => return Err(format!("`{text}` has a special meaning to some YAML readers; write it in quotes")),
        _ => {}
    }
    if text.len() <= 3 && OLD_BOOLEANS.contains(&&*text.to_ascii_lowercase()) {
        return Err(format!(
            "`{text}` is a boolean to some YAML readers and text to others; write true or false, or \"{text}\" in quotes"
        ));
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned.starts_with(|c: char| c.is_ascii_digit()) || unsigned.starts_with('.') {
        return number(text, unsigned);
    }
    Ok(Content::Text(text.to_owned()))
}

fn number(text: &str, unsigned: &str) -> Result<Content, String> {
    if matches!(&*unsigned.to_ascii_lowercase(), ".inf" | ".nan") {
        return Err(format!("`{text}` is not a number JSON knows; write it in quotes if it is text"));
    }
    let digits_only = unsigned.bytes().all(|byte| byte.is_ascii_digit());
    if digits_only && (unsigned.len() == 1 || !unsigned.starts_with('0')) {
        return integer(text).ok_or_else(|| format!("`{}` is too large for a number; write it in quotes", cut(text)));
    }
    if is_ambiguous(unsigned, digits_only) {
        return Err(format!(
            "`{0}` is read differently by different YAML readers; write \"{0}\" in quotes if it is text",
            cut(text)
        ));
    }
    if let Some(hex) =
        unsigned.strip_prefix("0x").filter(|hex| !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        let signed = if text.starts_with('-') { format!("-{hex}") } else { hex.to_owned() };
        let read = i64::from_str_radix(&signed, 16)
            .map_err(|_| format!("`{}` is too large for a number; write it in quotes", cut(text)))?;
        return Ok(Content::Number(read.into()));
    }
    if is_float(unsigned) {
        let read = text.strip_prefix('+').unwrap_or(text).parse().ok().and_then(Number::from_f64);
        return read
            .map(Content::Number)
            .ok_or_else(|| format!("`{}` is too large for a number; write it in quotes", cut(text)));
    }
    Ok(Content::Text(text.to_owned()))
}

fn integer(text: &str) -> Option<Content> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let number = digits.parse::<i64>().map(Number::from).or_else(|_| digits.parse::<u64>().map(Number::from)).ok()?;
    Some(Content::Number(number))
}

/// `0644`, `1_000`, `0b1`, `0o17`: octal, binary or grouped to some.
fn is_ambiguous(unsigned: &str, digits_only: bool) -> bool {
    let grouped =
        unsigned.contains('_') && unsigned.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'_' | b'.'));
    let radix = unsigned.len() > 2
        && (unsigned.starts_with("0o") || unsigned.starts_with("0b"))
        && unsigned.bytes().skip(2).all(|byte| byte.is_ascii_digit());
    digits_only || grouped || radix
}

/// `[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?` or with nothing before the dot.
fn is_float(unsigned: &str) -> bool {
    let (mantissa, exponent) =
        unsigned.split_once(['e', 'E']).map_or((unsigned, None), |(mantissa, exponent)| (mantissa, Some(exponent)));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent = exponent.map(|exponent| exponent.strip_prefix(['+', '-']).unwrap_or(exponent));
    digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent))
}

fn cut(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn plain_scalars_mean_what_every_reader_means() {
        let same = [
            ("", json!(null)),
            ("~", json!(null)),
            ("true", json!(true)),
            ("False", json!(false)),
            ("0", json!(0)),
            ("-7", json!(-7)),
            ("+7", json!(7)),
            ("18446744073709551615", json!(u64::MAX)),
            ("0x1F", json!(31)),
            ("1.5", json!(1.5)),
            ("1e3", json!(1000.0)),
            (".5", json!(0.5)),
            ("1.", json!(1.0)),
            ("abc", json!("abc")),
            ("1.2.3", json!("1.2.3")),
            ("10.0.0.0/8", json!("10.0.0.0/8")),
            ("2024-01-01", json!("2024-01-01")),
            ("1h30m", json!("1h30m")),
            ("-", json!("-")),
            ("...", json!("...")),
            (".", json!(".")),
            ("0x", json!("0x")),
            ("12:30", json!("12:30")),
            ("1e", json!("1e")),
        ];
        for (text, value) in same {
            let node = super::super::Node { place: super::super::Place::default(), content: plain(text).unwrap() };
            assert_eq!(node.value(), value, "{text}");
        }
    }

    #[test]
    fn what_readers_disagree_about_is_refused() {
        for text in [
            "yes",
            "No",
            "on",
            "OFF",
            "y",
            "N",
            "0644",
            "00",
            "-012",
            "1_000",
            "0o17",
            "0b11",
            ".inf",
            "-.Inf",
            ".nan",
            "<<",
            "=",
            "99999999999999999999",
            "1e999",
        ] {
            assert!(plain(text).is_err(), "{text}");
        }
    }
}
