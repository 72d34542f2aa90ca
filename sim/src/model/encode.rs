//! What a machine is in, as numbers: each with what kind of a number it is, so that states which
//! differ only in how late it is, or in how high the numbers have grown, are seen to be the same.

use std::fmt;

use serde::ser::{self, Impossible, Serialize};

/// What a number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Itself.
    Plain,
    /// A moment: only how far it is from now counts.
    Moment,
    /// A token, a revision, an attempt, the number of a flight: only their order counts.
    Token,
    Revision,
    Attempt,
    Flight,
    /// It tells machines apart, but not states: the last moment a machine was told, a counter that is
    /// above all that was drawn from it, the jitter (which the callers of a search do without).
    Hidden,
}

/// Fields of the kind [`Kind::Hidden`].
const HIDDEN: [&str; 5] = ["now", "flights", "attempts", "dice", "strikes"];

/// Fields that follow from the rest, or are the same in all machines of a search.
const SKIPPED: [&str; 3] = ["timer", "timers", "policy"];

/// The numbers of something that can be serialized.
pub(super) fn numbers(value: &impl Serialize) -> Vec<(Kind, u64)> {
    let mut encoder = Encoder {
        numbers: Vec::new(),
        kind: Kind::Plain,
    };
    // INVARIANT: the encoder refuses nothing that a machine is made of.
    value
        .serialize(&mut encoder)
        .expect("a machine is made of numbers");
    encoder.numbers
}

struct Encoder {
    numbers: Vec<(Kind, u64)>,
    kind: Kind,
}

/// A machine holds something that is not a number.
#[derive(Debug)]
struct NotANumber;

impl fmt::Display for NotANumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a number")
    }
}

impl std::error::Error for NotANumber {}

impl ser::Error for NotANumber {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

type Done = Result<(), NotANumber>;

impl Encoder {
    fn push(&mut self, number: u64) -> Done {
        self.numbers.push((self.kind, number));
        Ok(())
    }

    fn plain(&mut self, number: usize) -> Done {
        self.numbers.push((Kind::Plain, number as u64));
        Ok(())
    }

    fn as_kind(&mut self, kind: Kind, value: &(impl Serialize + ?Sized)) -> Done {
        let before = std::mem::replace(&mut self.kind, kind);
        let done = value.serialize(&mut *self);
        self.kind = before;
        done
    }
}

impl<'a> ser::Serializer for &'a mut Encoder {
    type Ok = ();
    type Error = NotANumber;
    type SerializeSeq = &'a mut Encoder;
    type SerializeTuple = &'a mut Encoder;
    type SerializeTupleStruct = Impossible<(), NotANumber>;
    type SerializeTupleVariant = Impossible<(), NotANumber>;
    type SerializeMap = &'a mut Encoder;
    type SerializeStruct = &'a mut Encoder;
    type SerializeStructVariant = &'a mut Encoder;

    fn serialize_bool(self, value: bool) -> Done {
        self.push(u64::from(value))
    }
    fn serialize_i8(self, _: i8) -> Done {
        Err(NotANumber)
    }
    fn serialize_i16(self, _: i16) -> Done {
        Err(NotANumber)
    }
    fn serialize_i32(self, _: i32) -> Done {
        Err(NotANumber)
    }
    fn serialize_i64(self, _: i64) -> Done {
        Err(NotANumber)
    }
    fn serialize_u8(self, value: u8) -> Done {
        self.push(u64::from(value))
    }
    fn serialize_u16(self, value: u16) -> Done {
        self.push(u64::from(value))
    }
    fn serialize_u32(self, value: u32) -> Done {
        self.push(u64::from(value))
    }
    fn serialize_u64(self, value: u64) -> Done {
        self.push(value)
    }
    fn serialize_f32(self, _: f32) -> Done {
        Err(NotANumber)
    }
    fn serialize_f64(self, _: f64) -> Done {
        Err(NotANumber)
    }
    fn serialize_char(self, _: char) -> Done {
        Err(NotANumber)
    }
    /// The name of the key: there is only one.
    fn serialize_str(self, _: &str) -> Done {
        Ok(())
    }
    fn collect_str<T: fmt::Display + ?Sized>(self, _: &T) -> Done {
        Ok(())
    }
    fn serialize_bytes(self, _: &[u8]) -> Done {
        Err(NotANumber)
    }
    fn serialize_none(self) -> Done {
        self.plain(0)
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        self.plain(1)?;
        value.serialize(self)
    }
    fn serialize_unit(self) -> Done {
        Ok(())
    }
    fn serialize_unit_struct(self, _: &'static str) -> Done {
        Ok(())
    }
    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Done {
        self.plain(index as usize)
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Done {
        let kind = match name {
            _ if self.kind == Kind::Hidden => Kind::Hidden,
            "Instant" => Kind::Moment,
            "Token" => Kind::Token,
            "Revision" => Kind::Revision,
            "Attempt" => Kind::Attempt,
            _ => Kind::Plain,
        };
        self.as_kind(kind, value)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Done {
        self.plain(index as usize)?;
        value.serialize(self)
    }
    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, NotANumber> {
        self.plain(len.unwrap_or_default())?;
        Ok(self)
    }
    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, NotANumber> {
        Ok(self)
    }
    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, NotANumber> {
        Err(NotANumber)
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, NotANumber> {
        Err(NotANumber)
    }
    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, NotANumber> {
        self.plain(len.unwrap_or_default())?;
        Ok(self)
    }
    fn serialize_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStruct, NotANumber> {
        Ok(self)
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, NotANumber> {
        self.plain(index as usize)?;
        Ok(self)
    }
}

impl ser::SerializeSeq for &mut Encoder {
    type Ok = ();
    type Error = NotANumber;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        value.serialize(&mut **self)
    }
    fn end(self) -> Done {
        Ok(())
    }
}

impl ser::SerializeTuple for &mut Encoder {
    type Ok = ();
    type Error = NotANumber;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        value.serialize(&mut **self)
    }
    fn end(self) -> Done {
        Ok(())
    }
}

impl ser::SerializeMap for &mut Encoder {
    type Ok = ();
    type Error = NotANumber;

    /// A bare number as a key is that of a flight.
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done {
        self.as_kind(Kind::Flight, key)
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        value.serialize(&mut **self)
    }
    fn end(self) -> Done {
        Ok(())
    }
}

impl Encoder {
    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Done {
        match name {
            _ if SKIPPED.contains(&name) => Ok(()),
            _ if HIDDEN.contains(&name) => self.as_kind(Kind::Hidden, value),
            "number" => self.as_kind(Kind::Flight, value),
            "boarded" => self.as_kind(Kind::Attempt, value),
            _ => value.serialize(self),
        }
    }
}

impl ser::SerializeStruct for &mut Encoder {
    type Ok = ();
    type Error = NotANumber;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Done {
        self.field(name, value)
    }
    fn end(self) -> Done {
        Ok(())
    }
}

impl ser::SerializeStructVariant for &mut Encoder {
    type Ok = ();
    type Error = NotANumber;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Done {
        self.field(name, value)
    }
    fn end(self) -> Done {
        Ok(())
    }
}
