//! Texts of a rule's labels: what `{{ $labels.NAME }}` stands for.
//!
//! Go's templates can do much more; what they make of a value would need its formatting and makes a new alert whenever it
//! changes. All but the plain look-up of a label is left as it is written.

use super::labels::Labels;

/// The text with every plain look-up of a label filled in.
pub(super) fn fill(text: &str, element: &Labels) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find("{{") {
        filled.push_str(&rest[..open]);
        let Some(length) = rest[open..].find("}}") else {
            rest = &rest[open..];
            break;
        };
        let action = &rest[open..open + length + 2];
        match looked_up(&action[2..length]) {
            Some(name) => filled.push_str(element.get(name)),
            None => filled.push_str(action),
        }
        rest = &rest[open + length + 2..];
    }
    filled.push_str(rest);
    filled
}

/// The label that an action looks up, if that is all it does.
fn looked_up(action: &str) -> Option<&str> {
    let action = action.trim();
    let name = action.strip_prefix("$labels.").or_else(|| action.strip_prefix(".Labels."))?;
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    plain.then_some(name)
}
