//! Options that name types of resources.

use crate::adaptors::registry;
use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::error::Error;
use clap::{Arg, Args, Command};
use std::ffi::OsStr;

#[derive(Clone, Debug, Args)]
pub(crate) struct TypesOptions {
    /// The type: what it is, its attributes, facts and examples; without it, all types are listed
    #[arg(value_name = "TYPE", value_parser = KnownTypes, hide_possible_values = true)]
    pub(crate) kind: Option<String>,
}

/// Any text, which shells complete to the types there are. What is unknown is refused by the verb, which says what may have been meant.
#[derive(Clone)]
pub(super) struct KnownTypes;

impl TypedValueParser for KnownTypes {
    type Value = String;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> Result<String, Error> {
        StringValueParser::new().parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(registry::kinds().map(PossibleValue::new)))
    }
}
