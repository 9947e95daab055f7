//! Why a module is refused: a stable code, the offset where it shows, and words for people.
//!
//! Code and offset are part of a task's result and therefore agreed on; the words are not, so they may
//! improve from release to release. Codes are never reused or renumbered.

use parity_scale_codec::{Decode, Encode, Error as CodecError, Input, Output};

macro_rules! refusal_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// What rule a module breaks. The number is stable: it is part of a task's result.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        #[non_exhaustive]
        pub enum RefusalCode {
            $($(#[$doc])* $name = $code,)*
        }

        impl RefusalCode {
            /// Every code, in order of its number.
            pub const ALL: &[RefusalCode] = &[$(RefusalCode::$name,)*];

            /// The code with this number, `None` when there is none.
            #[must_use]
            pub const fn from_number(number: u16) -> Option<Self> {
                match number {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// What the rule is, in a few words.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

refusal_codes! {
    /// The module has more bytes than allowed.
    ModuleTooLarge = 1, "module too large";
    /// Not a WebAssembly module, cut short, malformed, ill-typed, or it uses a feature that is not allowed.
    Invalid = 2, "not a valid module of the allowed features";
    /// More types than allowed.
    TooManyTypes = 10, "too many types";
    /// More imports than allowed.
    TooManyImports = 11, "too many imports";
    /// More functions than allowed.
    TooManyFunctions = 12, "too many functions";
    /// More tables than allowed.
    TooManyTables = 13, "too many tables";
    /// More globals than allowed.
    TooManyGlobals = 14, "too many globals";
    /// More exports than allowed.
    TooManyExports = 15, "too many exports";
    /// More element segments, or elements in them, than allowed.
    TooManyElements = 16, "too many element segments or elements";
    /// More data segments than allowed.
    TooManyDataSegments = 17, "too many data segments";
    /// A type has more parameters or results than allowed.
    TooManyParameters = 18, "too many parameters or results";
    /// A function has more parameters and locals than allowed.
    TooManyLocals = 20, "too many locals";
    /// A function's body is longer than allowed.
    FunctionTooLarge = 21, "function body too large";
    /// A function nests blocks deeper than allowed.
    NestingTooDeep = 22, "blocks nested too deeply";
    /// A function's operand stack grows higher than allowed.
    OperandsTooMany = 23, "operand stack too high";
    /// A compiler would have to follow more values through a function than allowed.
    FunctionTooComplex = 24, "function too complex";
    /// One frame needs more stack than a whole run has.
    FrameTooLarge = 25, "stack frame too large";
    /// A table starts with more elements than allowed.
    TableTooLarge = 26, "table too large";
    /// A memory starts with more pages than allowed.
    MemoryTooLarge = 27, "memory too large";
    /// A `br_table` has more targets than allowed.
    TooManyTargets = 28, "branch table too long";
    /// A function has more basic blocks than allowed.
    TooManyBlocks = 29, "too many basic blocks";
    /// Something other than a function is imported.
    ImportKind = 30, "only functions can be imported";
    /// The host has no function of this name.
    UnknownImport = 31, "unknown import";
    /// The host's function of this name has another type.
    ImportType = 32, "import has another type";
    /// The module exports neither `_start` nor `run`.
    NoEntryPoint = 33, "no entry point";
    /// The entry point has another type than `() -> ()` (or, for `run`, `() -> i32`).
    EntryType = 34, "entry point has another type";
    /// An export's name begins with `frith:`, which is reserved.
    ReservedExport = 35, "reserved export name";
    /// A function, or all of them together, have more bytes than allowed once they are metered.
    TooLargeMetered = 36, "module too large once metered";
}

impl RefusalCode {
    /// The stable number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self as u16
    }
}

impl Encode for RefusalCode {
    fn size_hint(&self) -> usize {
        2
    }

    fn encode_to<T: Output + ?Sized>(&self, dest: &mut T) {
        self.number().encode_to(dest);
    }
}

impl Decode for RefusalCode {
    fn decode<I: Input>(input: &mut I) -> Result<Self, CodecError> {
        Self::from_number(u16::decode(input)?).ok_or_else(|| "unknown refusal code".into())
    }
}

/// A refused module: which rule, where, and why in words.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
#[error("{}: {reason} (code {}, at byte {offset})", code.text(), code.number())]
pub struct Refusal {
    /// The rule that is broken; agreed on.
    pub code: RefusalCode,
    /// Byte offset in the submitted module where it shows; agreed on.
    pub offset: u32,
    /// What exactly is wrong, for people; not agreed on.
    pub reason: String,
}

impl Refusal {
    /// A refusal at a byte offset (clipped to 32 bits, which no allowed module exceeds).
    pub(crate) fn new(code: RefusalCode, offset: u64, reason: impl Into<String>) -> Self {
        Self {
            code,
            offset: u32::try_from(offset).unwrap_or(u32::MAX),
            reason: reason.into(),
        }
    }

    /// A refusal because a count or size is above its limit.
    pub(crate) fn limit(code: RefusalCode, offset: u64, found: u64, limit: u64) -> Self {
        Self::new(code, offset, format!("{found} found, {limit} allowed"))
    }
}

impl From<wasmparser::Error> for Refusal {
    fn from(error: wasmparser::Error) -> Self {
        Self::new(RefusalCode::Invalid, error.offset(), error.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_its_number_and_back() {
        for code in RefusalCode::ALL {
            assert_eq!(RefusalCode::from_number(code.number()), Some(*code));
            assert_eq!(RefusalCode::decode(&mut &code.encode()[..]), Ok(*code));
        }
        assert_eq!(RefusalCode::from_number(0), None);
    }
}
