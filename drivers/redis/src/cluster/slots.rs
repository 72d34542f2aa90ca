//! Which of the slots of a cluster a name is in.

/// How many there are.
pub(crate) const SLOTS: u16 = 16384;

/// The slot of all these names; `None` if they are not all in one.
pub(crate) fn slot(places: &[String]) -> Option<u16> {
    let mut slots = places.iter().map(|place| slot_of(place));
    let first = slots.next().unwrap_or(0);
    slots.all(|slot| slot == first).then_some(first)
}

fn slot_of(place: &str) -> u16 {
    crc16(tag(place).as_bytes()) % SLOTS
}

/// What stands between the first brace and the next closing one; without that, all of it.
pub(crate) fn tag(place: &str) -> &str {
    let tag = place
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'));
    match tag {
        Some((tag, _)) if !tag.is_empty() => tag,
        Some(_) | None => place,
    }
}

/// The one of XMODEM, as the specification of the cluster names it.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc: u16, _| {
            let next = crc << 1;
            if crc & 0x8000 == 0 {
                next
            } else {
                next ^ 0x1021
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout;

    #[test]
    fn slots_are_those_of_the_servers() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        // As `CLUSTER KEYSLOT` answers.
        for (place, slot) in [
            ("", 0),
            ("foo", 12182),
            ("{foo}bar", 12182),
            ("a{foo}{bar}", 12182),
            ("{}foo", 9500),
        ] {
            assert_eq!(slot_of(place), slot, "{place}");
        }
    }

    #[test]
    fn a_key_and_its_lock_are_in_one_slot_and_others_need_not_be() {
        for key in ["", "a", "}", "{", "{}", "{a}", "a{b}c"] {
            let lock = oneflight_store::default_lock(key);
            assert!(slot(&[layout::value(key), layout::lock(&lock)]).is_some());
        }
        assert_eq!(slot(&[layout::value("a"), layout::lock("b")]), None);
        let tagged = [layout::value("{u}:a"), layout::lock("{u}:lock")];
        assert_eq!(slot(&tagged), Some(slot_of("u")));
    }
}
